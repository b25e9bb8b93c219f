/** Uncaught failures. */
type Environment = Readonly<Record<string, string | undefined>>

/** An error full of secrets, like errors of HTTP clients that hold their request. */
export const failure = (
  { MARKED_NOTE: note = "", MARKED_SHAPE: shape = "", STRIPE_API_KEY: key = "" }: Environment
): Error =>
  Object.assign(
    new Error(`refused: ${JSON.stringify({ password: note })}, it was ${key}`, {
      cause: new Error(`https://user:${note}@api.example/?api_key=${note} said ${shape}`)
    }),
    {
      config: {
        headers: { authorization: `Bearer ${key}`, cookie: `sid=${note}` },
        auth: { user: "u", password: note }
      },
      body: new URLSearchParams({ client_secret: note }).toString()
    }
  )

export const bombs = {
  "a promise that is rejected": (environment: Environment) => {
    void Promise.reject(failure(environment))
  },
  "several errors": (environment: Environment) => {
    throw new AggregateError([failure(environment), failure(environment)], `Bearer ${environment["STRIPE_API_KEY"]}`)
  },
  "a secret that is thrown as it is": (environment: Environment) => {
    throw environment["STRIPE_API_KEY"]
  },
  "an error with an encoded secret": (environment: Environment) => {
    const bytes = Array.from(Buffer.from(environment["STRIPE_API_KEY"] ?? ""), (byte) => `%${byte.toString(16)}`)
    throw new Error(`cannot read ${bytes.join("")}`)
  },
  "an error that cannot be looked at": (environment: Environment) => {
    throw Object.assign(new Error("see its cause"), {
      [Symbol.for("nodejs.util.inspect.custom")]: () => {
        throw failure(environment)
      }
    })
  }
}
