/** Our Stripe client, and payments by it, as a test aims and guards them. */
import { type Policy, Vendor } from "@breakwater/core"
import { UndiciTransport } from "@breakwater/core/transport"
import * as Stripe from "@breakwater/vendors/payments/stripe/Stripe"
import { ConfigProvider, Layer } from "effect"

/** What the simulator takes for a secret key. */
export const secretKey = ["sk", "test", "marked"].join("_")

export interface Aim {
  readonly baseUrl: string
  /** @default {@link secretKey} */
  readonly secretKey?: string
  /** Laid over the declaration's own. */
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
