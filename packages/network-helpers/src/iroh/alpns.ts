import type { Protocol } from "@adit/codec";

/** The two ALPNs of one sub-protocol: which one a connection offers says whether Noise runs inside it. */
export interface ProtocolAlpns {
  /** SV2 Noise inside the QUIC stream, as existing SV2-over-Iroh software does it. */
  readonly noise: string;
  /** Bare SV2 frames: QUIC's TLS 1.3 encrypts and pins the endpoint id. */
  readonly plain: string;
}

/** Default ALPN of each sub-protocol and mode. Both sides must name the same one; a role's config may override it. */
export const alpns: Readonly<Record<Protocol, ProtocolAlpns>> = {
  mining: { noise: "sv2-m", plain: "sv2-m/plain" },
  job_declaration: { noise: "sv2-jd", plain: "sv2-jd/plain" },
  template_distribution: { noise: "sv2-tp", plain: "sv2-tp/plain" },
};

/**
 * The ALPN of connections with two streams (docs/dual-stream.md) beside one with one stream; undefined for job declaration,
 * which gains nothing from a second one.
 */
export function dualAlpn(protocol: Protocol, alpn: string): string | undefined {
  return protocol === "job_declaration" ? undefined : `${alpn}/dual`;
}
