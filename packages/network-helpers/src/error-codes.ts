/** What an operator is told of an error code. */
export interface NetworkErrorRow {
  /** What has happened. */
  readonly meaning: string;
  /** What to do about it. */
  readonly remedy: string;
}

/**
 * Codes of `NetworkError` (requirement A14), stable between releases. `docs/reference/network-errors.md` is made of this
 * table, and metrics have the codes as labels.
 */
export const networkErrorCodes = {
  "node-initialisation": {
    meaning: "The Iroh node or a listening socket could not start.",
    remedy:
      "Mostly another process has the port: stop it, or change `listen_address` or `bind`. Else the address is not this machine's, or the key file cannot be read; the message says which. It is tried again, unless the role has no other way.",
  },
  "connection-failed": {
    meaning: "The peer could not be reached, or refused at the transport.",
    remedy:
      "Start the peer, or correct host and port. Over Iroh the connection broke below the application: it is dialled again.",
  },
  "peer-discovery-failed": {
    meaning: "No address is known for the peer: a name that does not resolve, an endpoint id nobody announces.",
    remedy:
      "Over TCP, check the name and this machine's DNS. Over Iroh, the message says what was tried: give a ticket, `direct_addresses`, a relay on both sides, or `lan_discovery` on both.",
  },
  "invalid-config": {
    meaning: "An address, key or option cannot be used as given.",
    remedy: "The message names it. `adit config check FILE` finds most of these before the start.",
  },
  "alpn-mismatch": {
    meaning: "The peer does not serve the protocol name (ALPN) that was asked for.",
    remedy:
      "Give both sides the same `encryption`, and the same `alpn` if one is set; see that the id is of a role that serves this protocol, and that it has started to.",
  },
  "handshake-failed": {
    meaning: "The Noise handshake did not complete, or another node answers at the Iroh address.",
    remedy:
      "See that host and port are those of a Stratum V2 port with Noise. Over Iroh: the peer's key file was replaced, or the address belongs to another; ask for its current ticket.",
  },
  "authority-mismatch": {
    meaning: "The peer's certificate is not signed by the expected authority key.",
    remedy:
      "Compare `authority_pubkey` with what the peer logs at its start. When it is right, somebody else answers at this address: do not mine there.",
  },
  "certificate-expired": {
    meaning: "The peer's certificate is outside its time of validity.",
    remedy:
      "Compare the clocks of both machines; a server makes a new certificate by itself well before the old one ends.",
  },
  "timed-out": {
    meaning: "A deadline passed.",
    remedy:
      "See that the peer is up. A firewall that drops packets looks like this, too: let TCP or UDP through. Over Iroh, compare the addresses with the ticket that the peer shows now.",
  },
  closed: {
    meaning: "The connection ended: by the peer, by us, or underneath both.",
    remedy: "Nothing, when it comes back. Else the peer's log says why it closed.",
  },
  "breaker-open": {
    meaning: "The peer has failed too often, and is left alone for a while.",
    remedy: "Look in the log for the failures before; the next trial comes by itself.",
  },
  refused: {
    meaning: "One side is full, or does not let this peer in.",
    remedy:
      "On the side that refuses: raise the limit that its log names, put the source into `exempt_sources`, or add the endpoint id to `allowed_peers`. `no file descriptor is left` is `ulimit -n`.",
  },
  "setup-refused": {
    meaning: "The server answered SetupConnection or RequestExtensions with an error, or we did.",
    remedy:
      "The message has the server's reason. Mostly the port serves another protocol, or lacks a feature that is required: job declaration, an extension.",
  },
  "protocol-violation": {
    meaning: "The peer broke the protocol.",
    remedy:
      "See that the port is one of Stratum V2 and what software is there. Between two of ours, or repeatedly: report it, with the message.",
  },
  "frame-too-large": {
    meaning: "A frame header announced more than its state allows.",
    remedy:
      "As for `protocol-violation`: mostly something else than Stratum V2 speaks there, or one side has Noise and the other not.",
  },
  "rate-limited": {
    meaning: "The source opens connections faster than allowed.",
    remedy: "Raise `new_connections_per_second`, or put the source into `exempt_sources`, if it is a farm of yours.",
  },
  "iroh-unavailable": {
    meaning: "The optional package @number0/iroh is not installed or did not load (A15).",
    remedy:
      '`npm install @number0/iroh@1.1.0`; its binaries exist for linux-x64 (glibc and musl) and darwin-arm64. Elsewhere use `transport = "tcp"`, which goes on without it.',
  },
  "slow-consumer": {
    meaning: "The peer does not read what it is sent.",
    remedy:
      "The peer hangs, or its link is far too slow: look there. It is disconnected so that nothing waits without bound.",
  },
} as const satisfies Readonly<Record<string, NetworkErrorRow>>;

/** One of {@link networkErrorCodes}. */
export type NetworkErrorCode = keyof typeof networkErrorCodes;
