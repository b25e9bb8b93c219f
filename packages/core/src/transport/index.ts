/** The hardened transport; the only entry point that loads undici. `@breakwater/core/transport`. */
export * as AddressGuard from "./AddressGuard.ts"
export * as ClientCertificate from "./ClientCertificate.ts"
export * as Tls from "./Tls.ts"
export * as Transport from "./Transport.ts"
export * as TransportHttpClient from "./TransportHttpClient.ts"
export * as UndiciTransport from "./UndiciTransport.ts"
