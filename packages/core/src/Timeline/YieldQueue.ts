/**
 * Tasks that run in order as soon as the current work is done. A few run in the same turn of the event loop. The rest
 * run a few per turn, so that other pending work gets its turn in between.
 */

/**
 * Tasks per turn: about a millisecond of work if each continues with a guarded call. The number is our own judgement.
 */
const mostInTurn = 32

let left = mostInTurn
let isTurnSet = false
const crowd: Array<() => void> = []

export const soon = (f: () => void): void => {
  if (!isTurnSet) {
    isTurnSet = true
    setImmediate(turn)
  }
  if (left === 0) crowd.push(f)
  else {
    left--
    queueMicrotask(f)
  }
}

const turn = (): void => {
  const due = crowd.splice(0, mostInTurn)
  isTurnSet = due.length > 0
  if (isTurnSet) setImmediate(turn)
  left = mostInTurn - due.length
  for (const f of due) queueMicrotask(f)
}
