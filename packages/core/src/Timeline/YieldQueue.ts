/**
 * What is done as soon as the present work is, in order. A few are done in the same turn of the event loop; of a crowd, as
 * many in each of the next, so that whoever waits for something else is heard in between.
 */

/** How many in a turn (ours: about a millisecond's work, when each of them goes on with a guarded call). */
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
