/** One look per contender, in all pictures. */
import { colours, type Style } from "../Plot.ts"

export const styles: Readonly<Record<string, Style>> = {
  "Breakwater": { colour: colours.blue, width: 3 },
  "Breakwater, a fleet of 5": { colour: colours.pink, width: 2.5 },
  "Breakwater, no breaker": { colour: colours.blue, dash: "6 3", width: 2 },
  "Breakwater, three nested": { colour: colours.pink, width: 2.5 },
  "no breaker, three nested": { colour: colours.pink, dash: "6 3", width: 2 },
  "Breakwater, breaker only": { colour: colours.blue, dash: "6 3", width: 2 },
  "no retry": { colour: colours.grey },
  "naive retry": { colour: colours.red },
  "p-retry": { colour: colours.orange },
  "undici retry": { colour: colours.green },
  "Effect retryTransient": { colour: colours.purple },
  "Effect CircuitBreaker": { colour: colours.purple },
  "ky": { colour: colours.purple },
  "cockatiel": { colour: colours.teal },
  "cockatiel + bulkhead": { colour: colours.teal, dash: "6 3" },
  "p-retry + opossum": { colour: colours.brown, dash: "6 3" },
  "opossum": { colour: colours.brown },
  "opossum, capacity 64": { colour: colours.brown, dash: "6 3" }
}
