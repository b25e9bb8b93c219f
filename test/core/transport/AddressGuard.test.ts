import * as AddressGuard from "@breakwater/core/transport/AddressGuard"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { intBetween } from "../../drivers/IntBetween.ts"
import * as Effort from "../../setup/Effort.ts"
import { beside, ipv4, ipv6, type Row } from "./AddressGuard/SpecialPurposeRegistries.ts"

/** An address as a number of 32 or 128 bits. */
interface Address {
  readonly bits: 32 | 128
  readonly value: bigint
}

const byDefault = AddressGuard.make()
const passes = (address: string) => byDefault.refusal(address) === undefined

const read = (text: string): Address => {
  if (!text.includes(":")) {
    return { bits: 32, value: text.split(".").reduce((value, octet) => value * 256n + BigInt(octet), 0n) }
  }
  const [head = "", tail] = text.split("::")
  const groups = (part: string) => part.split(":").filter((group) => group !== "")
  const zeros = tail === undefined ? 0 : 8 - groups(head).length - groups(tail).length
  const all = [...groups(head), ...Array.from({ length: zeros }, () => "0"), ...groups(tail ?? "")]
  return { bits: 128, value: all.reduce((value, group) => value * 65_536n + BigInt(`0x${group}`), 0n) }
}

const dotted = (value: bigint) => [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join(".")
const groupsOf = (value: bigint) =>
  Array.from({ length: 8 }, (_, index) => ((value >> BigInt(112 - 16 * index)) & 0xffffn).toString(16))
const write = ({ bits, value }: Address) => bits === 32 ? dotted(value) : groupsOf(value).join(":")

/** The first and the last address of a block. */
const rangeOf = (block: string) => {
  const [address = "", length] = block.split("/")
  const { bits, value } = read(address)
  return { bits, length: Number(length), first: value, last: value + (1n << BigInt(bits - Number(length))) - 1n }
}

const registered = [...ipv4, ...ipv6, ...beside].map((row) => ({ row, ...rangeOf(row[0]) }))
  .toSorted((a, b) => b.length - a.length)

/** Addresses of metadata services that are in no registry, from the documentation of their clouds. */
const metadataInPublicSpace = ["168.63.129.16"]

/** The registries' answer, by the smallest block: only addresses marked as reachable are. */
const isReachable = (address: Address): boolean => {
  if (metadataInPublicSpace.includes(write(address))) return false
  const { bits, value } = address
  const entry = registered.find((one) => one.bits === bits && one.first <= value && value <= one.last)
  if (entry?.row[0] === "64:ff9b::/96") return isReachable({ bits: 32, value: value & 0xffff_ffffn })
  return entry === undefined || entry.row[3] === "True"
}

/** An address somewhere in a block; the place is a fraction of 2^32. */
const within = ({ bits, first, last }: { bits: 32 | 128; first: bigint; last: bigint }, place: number): Address => ({
  bits,
  value: first + ((last - first) * BigInt(place)) / 0xffff_ffffn
})

const Place = intBetween(0, 0xffff_ffff)
const many = { arbitrary: { runs: Effort.runs(2_000) } }

/** Every form of an IPv4 address inside an IPv6 address. */
const embeddings: ReadonlyArray<readonly [form: string, of: (value: bigint) => bigint, isJudgedByIt: boolean]> = [
  ["IPv4-mapped (RFC 4291)", (value) => (0xffffn << 32n) | value, false],
  ["IPv4-compatible (RFC 4291)", (value) => value, false],
  ["IPv4-translated (RFC 2765)", (value) => (0xffffn << 48n) | value, false],
  ["NAT64 (RFC 6052)", (value) => read("64:ff9b::").value | value, true],
  ["local NAT64 (RFC 8215)", (value) => read("64:ff9b:1::").value | value, false],
  ["6to4 (RFC 3056)", (value) => read("2002::1").value | (value << 80n), false],
  ["the server of Teredo (RFC 4380)", (value) => read("2001::f7f7:f7f7").value | (value << 64n), false],
  ["the client of Teredo (RFC 4380)", (value) => read("2001:0:808:808::").value | (value ^ 0xffff_ffffn), false],
  ["ISATAP behind a public prefix (RFC 5214)", (value) => read("2a00:1450::5efe:0:0").value | value, true],
  ["ISATAP of a public address (RFC 5214)", (value) => read("2a00:1450::200:5efe:0:0").value | value, true]
]

describe("AddressGuard", () => {
  describe("by default", () => {
    it.each<Row>([...ipv4, ...ipv6, ...beside])("judges %s as the registry does: %s, %s, reachable: %s", (block) => {
      const { bits, first, last } = rangeOf(block)
      const edges = [first - 1n, first, (first + last) / 2n, last, last + 1n].filter((value) =>
        value >= 0n && value < 1n << BigInt(bits)
      )
      for (const value of edges) {
        assert.strictEqual(passes(write({ bits, value })), isReachable({ bits, value }), write({ bits, value }))
      }
    })

    it.prop(
      "judges every address as the registry does",
      { entry: Schema.Literals(registered.map((_, index) => index)), place: Place },
      ({ entry, place }) => {
        const address = within(registered[entry]!, place)
        assert.strictEqual(passes(write(address)), isReachable(address), write(address))
      },
      many
    )

    it.prop("allows every other IPv4 address", { value: Place }, ({ value }) => {
      const address: Address = { bits: 32, value: BigInt(value) }
      assert.strictEqual(passes(write(address)), isReachable(address))
    }, many)

    it.each([
      "1.1.1.1",
      "8.8.8.8",
      "93.184.216.34",
      "172.15.255.255",
      "172.32.0.0",
      "2606:4700:4700::1111",
      "2a00:1450:4001:81b::200e"
    ])("allows %s", (address) => assert.isTrue(passes(address)))

    it.each([
      ["169.254.169.254", "AWS, Google Cloud, Azure, Oracle"],
      ["169.254.170.2", "AWS ECS"],
      ["169.254.170.23", "AWS EKS"],
      ["169.254.0.23", "Tencent"],
      ["168.63.129.16", "Azure"],
      ["100.100.100.200", "Alibaba"],
      ["192.0.0.192", "Oracle Cloud Classic"],
      ["fd00:ec2::254", "AWS"],
      ["fd00:ec2::23", "AWS EKS"],
      ["fd20:ce::254", "Google Cloud"],
      ["fd00:c1::a9fe:a9fe", "Oracle Cloud"],
      ["fd00:a9fe:a9fe::1", "Akamai"],
      ["fd00:42::42", "Scaleway"],
      ["fe80::a9fe:a9fe", "OpenStack"]
    ])("identifies %s as a metadata service, of %s", (address, cloud) => {
      const refusal = byDefault.refusal(address)
      assert.include(refusal, "metadata service")
      assert.include(refusal, cloud)
    })

    it.each([
      "",
      "localhost",
      "example.com",
      "127.1",
      "2130706433",
      "0x7f000001",
      "0177.0.0.1",
      "127.0.0.1.",
      "8.8.8.8:80",
      "[2606:4700::1]",
      "fe80::1%eth0",
      "8.8.8.8/32"
    ])("refuses texts that are not addresses, such as %j", (text) => {
      assert.strictEqual(byDefault.refusal(text), "not an address")
    })
  })

  describe("sees through", () => {
    it.each(embeddings)("%s", (_, embed, isJudgedByIt) => {
      for (const { bits, first, last } of registered) {
        if (bits !== 32) continue
        for (const value of [first, (first + last) / 2n, last]) {
          const address = write({ bits: 128, value: embed(value) })
          const expected = isJudgedByIt && isReachable({ bits: 32, value })
          assert.strictEqual(passes(address), expected, `${dotted(value)} as ${address}`)
        }
      }
      assert.strictEqual(passes(write({ bits: 128, value: embed(read("8.8.8.8").value) })), isJudgedByIt)
    })

    it.prop(
      "every form, even if the operator allows the form itself",
      {
        form: Schema.Literals(embeddings.map((_, index) => index)),
        entry: Schema.Literals(ipv4.map((_, index) => index)),
        place: Place
      },
      ({ entry, form, place }) => {
        const guard = AddressGuard.make({
          allow: ["::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"]
        })
        const address = within(rangeOf(ipv4[entry]![0]), place)
        const [name, embed] = embeddings[form]!
        if (name.startsWith("IPv4-compatible")) return
        const embedded = write({ bits: 128, value: embed(address.value) })
        assert.strictEqual(guard.refusal(embedded) === undefined, isReachable(address), embedded)
      },
      many
    )

    it.prop(
      "every spelling",
      { entry: Schema.Literals(ipv6.map((_, index) => index)), place: Place },
      ({ entry, place }) => {
        const { value } = within(rangeOf(ipv6[entry]![0]), place)
        const groups = groupsOf(value)
        const spellings = [
          groups.join(":"),
          groups.join(":").toUpperCase(),
          groups.map((group) => group.padStart(4, "0")).join(":"),
          `${groups.slice(0, 6).join(":")}:${dotted(value & 0xffff_ffffn)}`,
          new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1)
        ]
        for (const spelling of spellings) {
          assert.strictEqual(byDefault.refusal(spelling), byDefault.refusal(groups.join(":")), spelling)
        }
      },
      many
    )

    it.prop("the URL parser's reading of every spelling of an IPv4 address", { value: Place }, ({ value }) => {
      const octets = dotted(BigInt(value)).split(".").map(Number)
      const [a = 0, b = 0, c = 0, d = 0] = octets
      const octal = (n: number) => `0${n.toString(8)}`
      const hex = (n: number) => `0x${n.toString(16)}`
      const spellings = [
        String(value),
        hex(value),
        octal(value),
        octets.map(octal).join("."),
        octets.map(hex).join("."),
        `${a}.${b * 65_536 + c * 256 + d}`,
        `${hex(a)}.${b}.${octal(c * 256 + d)}`,
        `${octets.join(".")}.`,
        octets.join("。"),
        octets.join(".").replaceAll(/\d/g, (digit) => String.fromCodePoint(0xff10 + Number(digit)))
      ]
      for (const spelling of spellings) assert.strictEqual(new URL(`http://${spelling}`).hostname, octets.join("."))
    }, many)
  })

  describe("with `allow`", () => {
    it("allows the listed addresses, and nothing else", () => {
      const guard = AddressGuard.make({ allow: ["10.1.0.0/16", "192.168.7.7", "fd12::/32", "fd99::1"] })
      const allowed = ["10.1.0.0", "10.1.255.255", "192.168.7.7", "fd12:0:ffff::1", "fd99::1", "8.8.8.8"]
      const others = ["10.0.255.255", "10.2.0.0", "192.168.7.6", "192.168.7.8", "fd13::", "fd99::2", "::ffff:10.1.0.1"]
      assert.deepStrictEqual(allowed.filter((address) => guard.refusal(address) !== undefined), [])
      assert.deepStrictEqual(others.filter((address) => guard.refusal(address) === undefined), [])
    })

    it("allows a metadata service only by its own address", () => {
      const blocks = AddressGuard.make({ allow: ["100.64.0.0/10", "169.254.0.0/16", "fd00::/8"] })
      for (const address of ["100.100.100.200", "169.254.169.254", "fd00:ec2::254"]) {
        assert.include(blocks.refusal(address), "metadata service")
        assert.strictEqual(AddressGuard.make({ allow: [address] }).refusal(address), undefined)
      }
      assert.strictEqual(blocks.refusal("100.100.100.201"), undefined)
    })

    it.each<readonly ["allow" | "deny", string, RegExp]>([
      ["allow", "10.0.0.1/8", /allow must be addresses and blocks such as 10.1.0.0\/16, got 10.0.0.1\/8/],
      ["allow", "10.0.0.0/33", /allow must be addresses and blocks/],
      ["allow", "10.0.0.0/", /allow must be addresses and blocks/],
      ["allow", "10.0.0", /allow must be addresses and blocks/],
      ["allow", "010.0.0.1", /allow must be addresses and blocks/],
      ["allow", "intranet.example", /allow must be addresses and blocks/],
      ["allow", "", /allow must be addresses and blocks/],
      ["deny", "fe80::1%eth0", /deny must be addresses and blocks/],
      ["allow", "0.0.0.0/0", /allow must not include loopback/],
      ["allow", "::/0", /allow must not include loopback/],
      ["allow", "127.0.0.2", /allow must not include loopback \(the option `loopback` is for it\), got 127.0.0.2/],
      ["allow", "::1", /allow must not include loopback/],
      ["allow", "0.0.0.0", /allow must not include the unspecified address/],
      ["allow", "::", /allow must not include the unspecified address/],
      ["allow", "239.1.1.1", /allow must not include multicast/],
      ["allow", "ff02::1", /allow must not include multicast/],
      ["allow", "255.255.255.255", /allow must not include broadcast/]
    ])("cannot be made with %s: %j", (option, text, message) => {
      assert.throws(() => AddressGuard.make({ [option]: [text] }), message)
    })
  })

  it("refuses denied addresses in every form, even if they are also allowed", () => {
    const guard = AddressGuard.make({
      deny: ["8.8.8.0/24", "10.1.2.3", "127.0.0.2", "2a00:1450::/32"],
      allow: ["10.1.0.0/16"],
      loopback: true
    })
    const denied = ["8.8.8.8", "10.1.2.3", "127.0.0.2", "2a00:1450:4001:81b::200e", "64:ff9b::808:808"]
    assert.deepStrictEqual(denied.map((address) => guard.refusal(address)?.startsWith("denied by the operator")), [
      true,
      true,
      true,
      true,
      true
    ])
    assert.deepStrictEqual(["8.8.4.4", "10.1.2.4", "127.0.0.1"].map((address) => guard.refusal(address)), [
      undefined,
      undefined,
      undefined
    ])
  })

  describe("with `loopback`", () => {
    const guard = AddressGuard.make({ loopback: true })

    it.each(["127.0.0.1", "127.255.255.254", "::1"])(
      "allows %s, as a literal and under a name of this machine",
      (own) => {
        assert.strictEqual(byDefault.refusal(own)?.startsWith("loopback"), true)
        assert.strictEqual(guard.refusal(own), undefined)
        for (const name of ["localhost", "localhost.", "LOCALHOST", "shop.localhost", "a.b.localhost."]) {
          assert.strictEqual(guard.refusal(own, name), undefined)
          assert.isDefined(byDefault.refusal(own, name))
        }
      }
    )

    it.each(["example.com", "localhost.example.com", "notlocalhost", "localhost..", ".localhost"])(
      "allows %s to lead elsewhere, but not to this machine",
      (name) => {
        assert.strictEqual(guard.refusal("8.8.8.8", name), undefined)
        assert.isDefined(guard.refusal("127.0.0.1", name))
        assert.isDefined(guard.refusal("::1", name))
      }
    )

    it.each(["8.8.8.8", "10.0.0.1", "0.0.0.0", "::", "::ffff:127.0.0.1"])(
      "refuses a name of this machine that leads to %s",
      (address) => {
        assert.isDefined(guard.refusal(address, "localhost"))
      }
    )

    it.each(["0.0.0.0", "::", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::127.0.0.1", "10.0.0.1", "169.254.169.254"])(
      "refuses %s as it does without",
      (address) => assert.isDefined(guard.refusal(address))
    )
  })
})
