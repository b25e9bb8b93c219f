/**
 * Basic authentication (RFC 7617, section 2): the value of `Authorization` or `Proxy-Authorization` for a user and a
 * password, in UTF-8. A user must not contain a colon; a password may.
 */

/** Encodes the credentials as a header value. */
export const encode = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`

/** The user and the password of a header; `undefined` if it has another scheme. */
export const decode = (header: string): { readonly user: string; readonly password: string } | undefined => {
  const [, encoded] = /^basic +(.*)$/is.exec(header) ?? []
  if (encoded === undefined) return undefined
  const [user = "", password = ""] = Buffer.from(encoded, "base64").toString("utf8").split(/:(.*)/s)
  return { user, password }
}

/** Whether a text can be a user: a colon would end it, and control characters are not allowed (section 2). */
export const isUser = (user: string): boolean => !/[\p{Cc}:]/u.test(user)

/** Whether a text can be a password: control characters are not allowed (section 2). */
export const isPassword = (password: string): boolean => !/\p{Cc}/u.test(password)
