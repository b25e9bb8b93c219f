/** Sources of secrets: files, an encrypted file, Vault, AWS, OAuth. `@breakwater/core/sources`. */
export * as AwsSecretsManager from "./AwsSecretsManager.ts"
export * as EncryptedFile from "./EncryptedFile.ts"
export * as Files from "./Files.ts"
export * as FromEnvironment from "./FromEnvironment.ts"
export * as LocalFile from "./LocalFile.ts"
export * as OAuth from "./OAuth.ts"
export * as Vault from "./Vault.ts"
