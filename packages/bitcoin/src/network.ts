/** The networks Adit runs on. */
export type Network = "mainnet" | "testnet4" | "signet" | "regtest";

/** What differs between networks in addresses, extended keys and money. */
export interface NetworkParameters {
  /** Human-readable part of segwit addresses. */
  readonly bech32: string;
  /** Version byte of a P2PKH address. */
  readonly pubKeyHash: number;
  /** Version byte of a P2SH address. */
  readonly scriptHash: number;
  /** Version byte of a private key; only here because the address library's type asks for it. */
  readonly wif: number;
  /** Version bytes of BIP32 extended keys. */
  readonly bip32: { readonly public: number; readonly private: number };
  /** Blocks between two halvings of the subsidy. */
  readonly halvingInterval: number;
}

const testnet: NetworkParameters = {
  bech32: "tb",
  pubKeyHash: 0x6f,
  scriptHash: 0xc4,
  wif: 0xef,
  bip32: { public: 0x043587cf, private: 0x04358394 },
  halvingInterval: 210_000,
};

/** Constants of each network, from Bitcoin Core's `chainparams.cpp`. */
export const networks: Readonly<Record<Network, NetworkParameters>> = {
  mainnet: {
    bech32: "bc",
    pubKeyHash: 0x00,
    scriptHash: 0x05,
    wif: 0x80,
    bip32: { public: 0x0488b21e, private: 0x0488ade4 },
    halvingInterval: 210_000,
  },
  testnet4: testnet,
  signet: testnet,
  regtest: { ...testnet, bech32: "bcrt", halvingInterval: 150 },
};

/** Every network, for a search or a list. */
export const networkNames: readonly Network[] = ["mainnet", "testnet4", "signet", "regtest"];

/** New satoshi a block of this height may create, without fees. */
export function subsidy(height: number, network: Network): bigint {
  const halvings = Math.floor(height / networks[network].halvingInterval);
  return halvings >= 64 ? 0n : 5_000_000_000n >> BigInt(halvings);
}
