/** Where secrets come from: files, an encrypted file, Vault, AWS, OAuth. `@breakwater/core/sources`. */
export * as AwsSecretsManager from "./AwsSecretsManager.ts"
export * as Configured from "./Configured.ts"
export * as EncryptedFile from "./EncryptedFile.ts"
export * as Files from "./Files.ts"
export * as NearFile from "./NearFile.ts"
export * as OAuth from "./OAuth.ts"
export * as Vault from "./Vault.ts"
