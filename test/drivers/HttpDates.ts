/**
 * The formats of RFC 9110, section 5.6.7: the preferred one, and the two obsolete ones that every recipient must accept.
 * Written by hand, so that neither the product nor the platform is tested against itself.
 */
const days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
const two = (n: number) => String(n).padStart(2, "0")
const timeOf = (date: Date) => `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`

export const formats = {
  "IMF-fixdate": (date: Date) =>
    `${days[date.getUTCDay()]!.slice(0, 3)}, ${two(date.getUTCDate())} ${months[date.getUTCMonth()]} ` +
    `${String(date.getUTCFullYear()).padStart(4, "0")} ${timeOf(date)} GMT`,
  "RFC 850": (date: Date) =>
    `${days[date.getUTCDay()]}, ${two(date.getUTCDate())}-${months[date.getUTCMonth()]}-` +
    `${two(date.getUTCFullYear() % 100)} ${timeOf(date)} GMT`,
  "asctime": (date: Date) =>
    `${days[date.getUTCDay()]!.slice(0, 3)} ${months[date.getUTCMonth()]} ${String(date.getUTCDate()).padStart(2)} ` +
    `${timeOf(date)} ${date.getUTCFullYear()}`
}

/** The examples of that section; all are the same moment, {@link exampleMillis}. */
export const examples = [
  "Sun, 06 Nov 1994 08:49:37 GMT",
  "Sunday, 06-Nov-94 08:49:37 GMT",
  "Sun Nov  6 08:49:37 1994"
]

export const exampleMillis = Date.UTC(1994, 10, 6, 8, 49, 37)
