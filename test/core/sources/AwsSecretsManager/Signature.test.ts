import { sign } from "@breakwater/core/sources/AwsSecretsManager/Signature"
import { assert, describe, it } from "@effect/vitest"
import { SignatureV4 } from "@smithy/signature-v4"
import { Effect, Redacted, Schema } from "effect"
import { Sha256 } from "../../../fakes/SecretsManager.ts"

/** Keys, time and place of the published vectors. */
const keys = {
  accessKeyId: "AKIDEXAMPLE",
  secretAccessKey: Redacted.make(["wJalrXUtnFEMI", "K7MDENG+bPxRfiCYEXAMPLEKEY"].join("/"))
}
const place = { region: "us-east-1", service: "service", at: Date.parse("2015-08-30T12:36:00Z") }
const host = "example.amazonaws.com"

/** The session token of the vectors, an example from AWS's own documentation. */
const sessionToken = [
  "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSE",
  "I/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0r",
  "KwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
].join("")

describe("a signature for AWS", () => {
  // The AWS Signature Version 4 test suite, as published in github.com/awslabs/aws-c-auth, tests/aws-signing-test-suite/v4.
  it.each(
    [
      ["post-vanilla", "POST", {}, "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"],
      [
        "post-header-key-sort",
        "POST",
        { "my-header1": "value1" },
        "",
        "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"
      ],
      [
        "post-header-value-case",
        "POST",
        { "my-header1": "VALUE1" },
        "",
        "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"
      ],
      [
        "get-header-value-trim",
        "GET",
        { "my-header1": " value1", "my-header2": ` "a   b   c"` },
        "",
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"
      ],
      [
        "post-x-www-form-urlencoded",
        "POST",
        {
          "content-type": "application/x-www-form-urlencoded",
          "content-length": "13",
          "x-amz-content-sha256": "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"
        },
        "Param1=value1",
        "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b"
      ]
    ] as const
  )("equals the published one: %s", (_, method, headers, body, signature) => {
    const signed = sign({ method, host, headers, body }, keys, place)
    assert.strictEqual(/Signature=(.*)$/.exec(signed["authorization"]!)?.[1], signature)
    assert.strictEqual(signed["x-amz-date"], "20150830T123600Z")
  })

  it("equals the published one with a session token: post-sts-header-before", () => {
    const session = { ...keys, sessionToken: Redacted.make(sessionToken) }
    const signed = sign({ method: "POST", host, headers: {}, body: "" }, session, place)
    assert.strictEqual(
      signed["authorization"],
      "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        + "SignedHeaders=host;x-amz-date;x-amz-security-token, "
        + "Signature=85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"
    )
    assert.strictEqual(signed["x-amz-security-token"], sessionToken)
  })

  const Text = Schema.String
  const Case = Schema.Struct({
    secret: Schema.NonEmptyString,
    token: Schema.optional(Schema.NonEmptyString),
    body: Text,
    value: Schema.String.check(Schema.isPattern(/^[\x21-\x7e]{0,20}$/)),
    at: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4_000_000_000 }))
  })

  it.effect.prop(
    "equals the signature of AWS's own library for any request",
    [Case],
    ([{ at, body, secret, token, value }]) =>
      Effect.gen(function*() {
        const headers = { "content-type": "application/x-amz-json-1.1", "x-amz-target": `a.b ${value}` }
        const sessionOfLibrary = token === undefined ? {} : { sessionToken: token }
        const expected = yield* Effect.promise(() =>
          new SignatureV4({
            credentials: { accessKeyId: "AKID", secretAccessKey: secret, ...sessionOfLibrary },
            region: "eu-west-3",
            service: "secretsmanager",
            sha256: Sha256,
            applyChecksum: false
          }).sign({
            method: "POST",
            protocol: "https:",
            hostname: host,
            path: "/",
            query: {},
            headers: { ...headers, host },
            body
          }, { signingDate: new Date(at * 1_000) })
        )
        const signed = sign({ method: "POST", host, headers, body }, {
          accessKeyId: "AKID",
          secretAccessKey: Redacted.make(secret),
          ...(token === undefined ? {} : { sessionToken: Redacted.make(token) })
        }, { region: "eu-west-3", service: "secretsmanager", at: at * 1_000 })
        assert.strictEqual(signed["authorization"], expected.headers["authorization"])
      })
  )
})
