/** What a server of the Mining Protocol says of itself that asks for nothing and takes whoever comes. */
export const miningServer = {
  protocol: "mining",
  supportedFlags: 0,
  successFlags: () => 0,
  supportedExtensions: [],
  requiredExtensions: [],
  maxPayload: () => 1024,
} as const;

/** What its clients say. */
export const miningHello = { protocol: "mining", flags: 0, requestExtensions: [], requiredExtensions: [] } as const;
