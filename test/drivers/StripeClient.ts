/** Our Stripe client and its `Payments`, with the base URL and policy of a test. */
import { type Policy, Vendor } from "@breakwater/core"
import { UndiciTransport } from "@breakwater/core/transport"
import * as Stripe from "@breakwater/vendors/payments/stripe/Stripe"
import { ConfigProvider, Layer } from "effect"

/** A secret key that the simulator accepts. */
export const secretKey = ["sk", "test", "marked"].join("_")

export interface Aim {
  readonly baseUrl: string
  /** @default {@link secretKey} */
  readonly secretKey?: string
  /** Overrides the declaration's policy, setting by setting. */
  readonly policy?: Policy.Policy
}

export const layer = (aim: Aim) => {
  const { declaration } = Stripe.Stripe
  const policy = { ...declaration.policy, ...aim.policy }
  return Stripe.payments.pipe(
    Layer.provideMerge(Layer.effect(Stripe.Stripe, Vendor.make({ ...declaration, policy }))),
    Layer.provideMerge(UndiciTransport.layer({ loopback: true })),
    Layer.provideMerge(ConfigProvider.layer(ConfigProvider.fromUnknown({
      STRIPE_BASE_URL: aim.baseUrl,
      STRIPE_API_KEY: aim.secretKey ?? secretKey
    })))
  )
}
