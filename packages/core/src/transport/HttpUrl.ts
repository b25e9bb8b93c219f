/**
 * URLs of requests (RFC 9110, section 4.2): the port that a scheme implies, and the check of a configured URL. Vendors'
 * base URLs, token endpoints, Vault and AWS share this check.
 */
import * as Loopback from "./Loopback.ts"

/** Why a URL is rejected. */
export type Flaw = "Insecure" | "UserInfo" | "Fragment"

/**
 * Checks a URL: https, or http to this machine; no user, no password and no fragment. Returns the first flaw, or
 * `undefined` for a valid URL.
 */
export const flawOf = (url: URL, isHere: (host: string) => boolean = Loopback.isHere): Flaw | undefined => {
  if (url.protocol !== "https:" && !(url.protocol === "http:" && isHere(url.hostname))) return "Insecure"
  if (hasUserInfo(url)) return "UserInfo"
  return url.hash === "" ? undefined : "Fragment"
}

/** Each flaw as a predicate, to follow the name of an option or variable. It shows no part of the URL. */
export const flaws: Readonly<Record<Flaw, string>> = {
  Insecure: "must begin with https:// (http:// is for this machine only)",
  UserInfo: "must hold no user and no password",
  Fragment: "must have no fragment"
}

/**
 * Whether a URL holds a user or a password (section 4.2.4). URLs appear in logs and labels, and no client sends them.
 */
export const hasUserInfo = (url: URL): boolean => url.username !== "" || url.password !== ""

/** The port of a URL: its own, or 443 for https and 80 for http (sections 4.2.1 and 4.2.2). */
export const portOf = ({ port, protocol }: Pick<URL, "port" | "protocol">): number =>
  port === "" ? (protocol === "https:" ? 443 : 80) : Number(port)
