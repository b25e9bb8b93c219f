import { bracketForm } from "@breakwater/core/client/BracketForm"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Exit, Schema } from "effect"
import { UrlParams } from "effect/http"
import { Stripe } from "stripe"
import * as Effort from "../../setup/Effort.ts"

/** A body as sent. */
const write = <S extends Schema.Codec<unknown, unknown>>(form: S, value: S["Type"]): string =>
  UrlParams.toString(Schema.encodeSync(form)(value) as UrlParams.Input)
const readExit = <S extends Schema.Codec<unknown, unknown>>(
  form: S,
  body: string
): Exit.Exit<S["Type"], Schema.SchemaError> =>
  Schema.decodeExit(form)(UrlParams.toRecord(UrlParams.fromInput(new URLSearchParams(body))))
const read = <S extends Schema.Codec<unknown, unknown>>(form: S, body: string): S["Type"] => {
  const exit = readExit(form, body)
  return Exit.isSuccess(exit) ? exit.value : assert.fail(Cause.pretty(exit.cause))
}
const problemOf = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.isFailure(exit) ? Cause.pretty(exit.cause) : assert.fail("it was accepted")

/** The names and values of a body, without their escapes. */
const pairs = (body: string) => Array.from(new URLSearchParams(body))

/** A form body is UTF-8, which cannot encode half of a surrogate pair. */
const Text = Schema.String.check(Schema.makeFilter((text) => text.isWellFormed()))
/** A string cannot represent negative zero. */
const Finite = Schema.Finite.check(Schema.makeFilter((n) => !Object.is(n, -0)))
const Int = Schema.Int.check(Schema.makeFilter((n) => !Object.is(n, -0)))
const Key = Schema.Union([
  Schema.Literals([
    "__proto__",
    "constructor",
    "toString",
    "0",
    "1",
    "12",
    "a b",
    "a&b=c",
    "a+b",
    "%5B",
    "😀",
    "größe",
    "日本",
    "."
  ]),
  Text.check(Schema.makeFilter((text) => /^[^[\]]+$/.test(text)))
])
const Metadata = Schema.Record(Key, Text).check(Schema.isMinProperties(1))

const Payload = Schema.Struct({
  amount: Int,
  rate: Finite,
  isLive: Schema.Boolean,
  currency: Schema.Literals(["eur", "usd"]),
  note: Schema.optionalKey(Text),
  metadata: Schema.optionalKey(Metadata),
  customer: Schema.Struct({
    name: Text,
    address: Schema.optionalKey(Schema.Struct({ line1: Text, geo: Schema.Struct({ lat: Finite }) }))
  }),
  items: Schema.Array(Schema.Struct({
    price: Text,
    quantity: Schema.optionalKey(Int),
    tags: Schema.optionalKey(Schema.NonEmptyArray(Text)),
    metadata: Schema.optionalKey(Metadata)
  })).check(Schema.isMinLength(1)),
  matrix: Schema.optionalKey(Schema.NonEmptyArray(Schema.NonEmptyArray(Int))),
  tenants: Schema.optionalKey(
    Schema.Record(Key, Schema.Record(Key, Schema.NonEmptyArray(Text)).check(Schema.isMinProperties(1)))
      .check(Schema.isMinProperties(1))
  ),
  source: Schema.Union([Text, Schema.Struct({ object: Schema.Literal("card"), number: Text })])
})

interface Category {
  readonly name: string
  readonly children?: readonly [Category, ...ReadonlyArray<Category>]
}
const Category = Schema.Struct({
  name: Text,
  children: Schema.optionalKey(
    Schema.NonEmptyArray(Schema.suspend((): Schema.Codec<Category> => Category as Schema.Codec<Category>))
  )
})

describe("bracketForm", () => {
  it("writes nested fields as names with brackets, and reads them back", () => {
    const form = bracketForm(Schema.Struct({
      amount: Schema.Int,
      customer: Schema.Struct({ name: Schema.String }),
      items: Schema.Array(Schema.Struct({ price: Schema.String }))
    }))
    const payload = { amount: 1_999, customer: { name: "Jane Doe" }, items: [{ price: "p_1" }, { price: "p_2" }] }
    assert.deepStrictEqual(pairs(write(form, payload)), [
      ["amount", "1999"],
      ["customer[name]", "Jane Doe"],
      ["items[0][price]", "p_1"],
      ["items[1][price]", "p_2"]
    ])
    assert.deepStrictEqual(read(form, write(form, payload)), payload)
  })

  it("reads back its own output for a recursive schema", () => {
    const form = bracketForm(Category)
    const root: Category = { name: "a", children: [{ name: "b", children: [{ name: "c" }] }, { name: "d" }] }
    assert.deepStrictEqual(read(form, write(form, root)), root)
  })

  it("leaves out absent and undefined fields, and writes an empty string", () => {
    const form = bracketForm(Schema.Struct({
      a: Schema.optional(Schema.String),
      b: Schema.optional(Schema.String),
      c: Schema.String
    }))
    assert.deepStrictEqual(pairs(write(form, { a: undefined, c: "" })), [["c", ""]])
    assert.deepStrictEqual(read(form, "c="), { c: "" })
  })

  it("leaves out an empty array or record, which it cannot express", () => {
    const form = bracketForm(Schema.Struct({
      a: Schema.optional(Schema.Array(Schema.String)),
      b: Schema.optional(Schema.Record(Schema.String, Schema.String))
    }))
    assert.strictEqual(write(form, { a: [], b: {} }), "")
    assert.deepStrictEqual(read(form, ""), {})
  })

  it("does not write a record key that is empty or holds a bracket", () => {
    const form = bracketForm(Schema.Struct({ metadata: Schema.Record(Schema.String, Schema.String) }))
    for (const key of ["a]", "[a", "a][b", "a[b]", "]", ""]) {
      const problem = problemOf(Schema.encodeUnknownExit(form)({ metadata: { [key]: "secret" } }))
      assert.include(problem, "a key that is empty or holds a bracket")
      assert.notInclude(problem, "secret")
    }
    const root = bracketForm(Schema.Record(Schema.String, Schema.Record(Schema.String, Schema.String)))
    for (const key of ["a]", "[a", "a[b]", ""]) {
      assert.isTrue(Exit.isFailure(Schema.encodeUnknownExit(root)({ [key]: { b: "c" } })), key)
    }
  })

  it("reads numbers as keys where the schema has a record, and as indices where it has an array", () => {
    const record = Schema.Record(Schema.String, Schema.String)
    interface Branch {
      readonly names: { readonly [name: string]: string }
      readonly branches?: ReadonlyArray<Branch>
    }
    const Branch = Schema.Struct({
      names: record,
      branches: Schema.optionalKey(
        Schema.Array(Schema.suspend((): Schema.Codec<Branch> => Branch as Schema.Codec<Branch>))
      )
    })
    const form = bracketForm(Schema.Struct({
      record,
      array: Schema.Array(Schema.String),
      maybe: Schema.optional(record),
      items: Schema.Array(Schema.Struct({ metadata: record })),
      records: Schema.Record(Schema.String, Schema.Record(Schema.String, Schema.NonEmptyArray(Schema.String))),
      pair: Schema.Tuple([record, Schema.Array(record)]),
      tree: Branch,
      either: Schema.Union([Schema.Array(Schema.String), record])
    }))
    const value = {
      record: { 0: "a", 1: "b" },
      array: ["a", "b"],
      maybe: { 0: "c" },
      items: [{ metadata: { 0: "d" } }, { metadata: { 0: "e" } }],
      records: { 0: { 0: ["f", "g"] as const } },
      pair: [{ 0: "h" }, [{ 0: "i" }]] as const,
      tree: { names: { 0: "j" }, branches: [{ names: { 0: "k" }, branches: [{ names: { 0: "l" } }] }] },
      // Ambiguous: read as an array, because that is what such names mean elsewhere.
      either: ["m"]
    }
    assert.deepStrictEqual(read(form, write(form, value)), value)
    assert.deepStrictEqual(read(form, write(form, { ...value, either: { 0: "m" } })), value)
  })

  it("reads indices in any order, and [] as the next index", () => {
    const form = bracketForm(Schema.Struct({ items: Schema.Array(Schema.Struct({ price: Schema.String })) }))
    const expected = { items: [{ price: "a" }, { price: "b" }] }
    assert.deepStrictEqual(read(form, "items[1][price]=b&items[0][price]=a"), expected)
    assert.deepStrictEqual(read(form, "items[][price]=a&items[][price]=b"), expected)
    const flat = bracketForm(Schema.Struct({ tags: Schema.Array(Schema.String) }))
    const tags = Array.from({ length: 12 }, (_, i) => `tag ${i}`)
    assert.deepStrictEqual(read(flat, tags.map((tag) => `tags[]=${tag}`).join("&")), { tags })
    assert.deepStrictEqual(read(flat, tags.map((tag, i) => `tags[${i}]=${tag}`).join("&")), { tags })
  })

  it("takes the last of several values under one name", () => {
    assert.deepStrictEqual(read(bracketForm(Schema.Struct({ a: Schema.String })), "a=1&a=2"), { a: "2" })
  })

  it.prop(
    "reads back its own output: nested, repeated, in any script, with any reserved character",
    { payload: Payload },
    ({ payload }) => {
      const form = bracketForm(Payload)
      assert.deepStrictEqual(read(form, write(form, payload)), payload)
    },
    { arbitrary: { runs: Effort.runs(200), size: 8 } }
  )
})

// docs.stripe.com/api: the curl examples of metadata, subscriptions, checkout sessions and payment intents.
const published: ReadonlyArray<readonly [body: string, fields: object]> = [
  ["metadata[order_id]=6735", { metadata: { order_id: "6735" } }],
  ["customer=cus_Na6dX7aXxi11N4&items[0][price]=price_1MowQULkdIwHu7ixraBm864M", {
    customer: "cus_Na6dX7aXxi11N4",
    items: [{ price: "price_1MowQULkdIwHu7ixraBm864M" }]
  }],
  [
    "success_url=https://example.com/success&line_items[0][price]=price_1MotwRLkdIwHu7ixYcPLm5uZ" +
    "&line_items[0][quantity]=2&mode=payment",
    {
      success_url: "https://example.com/success",
      line_items: [{ price: "price_1MotwRLkdIwHu7ixYcPLm5uZ", quantity: 2 }],
      mode: "payment"
    }
  ],
  ["amount=2000&currency=usd&automatic_payment_methods[enabled]=true", {
    amount: 2_000,
    currency: "usd",
    automatic_payment_methods: { enabled: true }
  }]
]

const StripeFields = Schema.Struct({
  metadata: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  customer: Schema.optionalKey(Schema.String),
  items: Schema.optionalKey(Schema.Array(Schema.Struct({ price: Schema.String }))),
  success_url: Schema.optionalKey(Schema.String),
  line_items: Schema.optionalKey(
    Schema.Array(Schema.Struct({ price: Schema.String, quantity: Schema.optionalKey(Int) }))
  ),
  mode: Schema.optionalKey(Schema.String),
  amount: Schema.optionalKey(Int),
  currency: Schema.optionalKey(Schema.String),
  automatic_payment_methods: Schema.optionalKey(Schema.Struct({ enabled: Schema.Boolean })),
  payment_method_types: Schema.optionalKey(Schema.Array(Schema.String)),
  description: Schema.optionalKey(Schema.String)
})

describe("bracketForm matches Stripe", () => {
  for (const [body, fields] of published) {
    it(`in its published example ${body.slice(0, 60)}`, () => {
      const form = bracketForm(StripeFields)
      assert.deepStrictEqual(pairs(write(form, fields)), pairs(body))
      assert.deepStrictEqual(read(form, body), fields)
    })
  }

  it("as its official library does, pair for pair", async () => {
    const fields = {
      amount: 1_099,
      currency: "eur",
      description: "größe & 50 % = [x]+y 😀",
      automatic_payment_methods: { enabled: true },
      payment_method_types: ["card", "sepa_debit"],
      metadata: { order: "7", "a b": "c&d=e", 0: "zero", "größe": "日本" }
    }
    const bodies: Array<string> = []
    const stripe = new Stripe("sk_test_nothing", {
      maxNetworkRetries: 0,
      telemetry: false,
      httpClient: Stripe.createFetchHttpClient((_url: unknown, init?: { readonly body?: unknown }) => {
        bodies.push(String(init?.body))
        return Promise.resolve(new Response("{}"))
      })
    })
    await stripe.paymentIntents.create(fields)
    const form = bracketForm(StripeFields)
    assert.strictEqual(bodies.length, 1)
    assert.deepStrictEqual(Object.fromEntries(pairs(write(form, fields))), Object.fromEntries(pairs(bodies[0]!)))
    assert.deepStrictEqual(read(form, bodies[0]!), fields)
  })
})

describe("bracketForm, reading invalid input,", () => {
  const anything = bracketForm(Schema.Record(Schema.String, Schema.Unknown))

  it("refuses unbalanced brackets", () => {
    for (const name of ["a[b", "a]b", "a]", "[", "]", "a[b]c", "a[[b]]", "a[b]]", "a][b", "a]b[c]", "a[b][c"]) {
      assert.include(problemOf(readExit(anything, `${encodeURIComponent(name)}=x`)), "unbalanced brackets", name)
    }
  })

  it("refuses names of more than 8 levels, and reads those of 8", () => {
    const name = (levels: number) => `a${"[b]".repeat(levels - 1)}`
    assert.include(problemOf(readExit(anything, `${name(9)}=x`)), "more than 8 levels")
    assert.include(problemOf(readExit(anything, `${name(10_000)}=x`)), "more than 8 levels")
    assert.isTrue(Exit.isSuccess(readExit(anything, `${name(8)}=x`)))
  })

  it("refuses more than 2000 fields, under as many names or under one", () => {
    const body = (count: number, name: (i: number) => string) =>
      Array.from({ length: count }, (_, i) => `${name(i)}=x`).join("&")
    for (const name of [(i: number) => `field${i}`, (i: number) => `a[${i}]`, () => "a[]", () => "a"]) {
      assert.isTrue(Exit.isSuccess(readExit(anything, body(2_000, name))), name(0))
      assert.include(problemOf(readExit(anything, body(2_001, name))), "more than 2000 fields", name(0))
    }
  })

  it("refuses a field that is both a value and a group, in either order", () => {
    for (const body of ["a=x&a[b]=y", "a[b]=y&a=x", "a[b]=x&a[b][c]=y", "a[b][c]=y&a[b]=x"]) {
      assert.include(problemOf(readExit(anything, body)), "both a value and a group", body)
    }
  })

  it("does not read a huge or missing index as an array, and allocates nothing for it", () => {
    const form = bracketForm(Schema.Struct({ items: Schema.Array(Schema.String) }))
    for (const index of ["4294967295", "4294967294", "999999999999999999999", "1", "-1", "01", "1e3"]) {
      assert.isTrue(Exit.isFailure(readExit(form, `items[${index}]=x`)), index)
      assert.deepStrictEqual(read(anything, `items[${index}]=x`), { items: { [index]: "x" } })
    }
  })

  it("reads special names of JavaScript as plain names, and pollutes no prototype", () => {
    const before = Reflect.ownKeys(Object.prototype)
    const nested = bracketForm(Schema.Record(Schema.String, Schema.Record(Schema.String, Schema.String)))
    for (const name of ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "valueOf"]) {
      const flat = read(bracketForm(Schema.Record(Schema.String, Schema.String)), `${name}=x`)
      assert.deepStrictEqual(Object.entries(flat), [[name, "x"]])
      assert.strictEqual(Object.getPrototypeOf(flat), Object.prototype)
      for (const body of [`a[${name}]=x`, `${name}[isAdmin]=x`]) {
        const [[outer, inner]] = Object.entries(read(nested, body)) as [[string, object]]
        assert.strictEqual(`${outer}[${Object.keys(inner)[0]}]=x`, body)
        assert.strictEqual(Object.getPrototypeOf(inner), Object.prototype)
      }
      readExit(nested, `${name}[prototype][isAdmin]=x&a[${name}][${name}][isAdmin]=x`)
    }
    assert.notProperty({}, "isAdmin")
    assert.notProperty(Function.prototype, "isAdmin")
    assert.deepStrictEqual(Reflect.ownKeys(Object.prototype), before)
  })

  it("writes a special name of JavaScript like any other", () => {
    const form = bracketForm(Schema.Record(Schema.String, Schema.String))
    const fields = Object.fromEntries([["__proto__", "x"], ["constructor", "y"]])
    assert.deepStrictEqual(pairs(write(form, fields)), [["__proto__", "x"], ["constructor", "y"]])
  })

  it.prop(
    "reads or refuses any names at all, and never quotes a value",
    {
      fields: Schema.Array(Schema.Tuple([
        Schema.Union([
          Schema.String,
          Schema.Literals([
            "a",
            "a[]",
            "a[b]",
            "a[][b]",
            "a[0]",
            "a[1][]",
            "[",
            "]",
            "a[__proto__][b]",
            "a[b",
            "[]",
            ""
          ])
        ]),
        Schema.String.check(Schema.isPattern(/^[a-z]{8,12}$/))
      ]))
    },
    ({ fields }) => {
      const flat = Object.fromEntries(fields.map(([name, value]) => [name, value.toUpperCase()]))
      const exit = Schema.decodeExit(anything)(flat)
      if (Exit.isFailure(exit)) {
        const problem = Cause.pretty(exit.cause)
        for (const value of Object.values(flat)) assert.notInclude(problem, value)
      }
    },
    { arbitrary: { runs: Effort.runs(200), size: 20 } }
  )
})
