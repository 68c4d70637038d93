export {
  authorityPublicKey,
  DEMO_AUTHORITY_PUBLIC_KEY,
  decodeAuthorityPublicKey,
  decodeAuthoritySecretKey,
  encodeAuthorityPublicKey,
  encodeAuthoritySecretKey,
} from "./authority-key.ts";
export {
  type Certificate,
  type CertificateRequest,
  CLOCK_LEEWAY_SEC,
  signCertificate,
  verifyCertificate,
} from "./certificate.ts";
export { type AeadFunctions, type AeadParameters, CipherState, MAC_SIZE } from "./cipher-state.ts";
export type { Aead, EllSwiftKeypair, EllSwiftPublicKey, Entropy, NoiseCrypto } from "./crypto.ts";
export { decodeEllSwift, drawKeypair, taggedEcdhHash } from "./elligator-swift.ts";
export { NoiseError, type NoiseErrorCode } from "./errors.ts";
export {
  aeadFrameOpener,
  aeadFrameSealer,
  type FrameOpener,
  type FrameSealer,
  MAX_CIPHERTEXT,
  MAX_PLAINTEXT,
  SEALED_HEADER_SIZE,
  sealedFrameLength,
  sealedPayloadLength,
} from "./frames.ts";
export {
  ACT1_SIZE,
  ACT2_SIZE,
  type AwaitingAct2,
  type InitiatorOptions,
  type InitiatorStart,
  initiator,
} from "./initiator.ts";
export { pureCrypto } from "./pure-crypto.ts";
export { ResponderIdentity, type ResponderIdentityOptions, type ResponderStart } from "./responder.ts";
export type { Ciphers, StreamCiphers } from "./symmetric-state.ts";
