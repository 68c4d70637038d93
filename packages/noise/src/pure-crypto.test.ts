import { bytesToHex, hexToBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import { expect, test } from "vitest";
import { pureAead } from "./pure-crypto.ts";

test("ChaCha20-Poly1305 is that of RFC 8439, section 2.8.2", () => {
  const plaintext = utf8ToBytes(
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
  );
  const parameters = {
    key: hexToBytes("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"),
    nonce: hexToBytes("070000004041424344454647"),
    ad: hexToBytes("50515253c0c1c2c3c4c5c6c7"),
  };
  const sealed = new Uint8Array(plaintext.length + 16);
  pureAead.encrypt(sealed, plaintext, parameters);
  expect(bytesToHex(sealed)).toBe(
    "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b29" +
      "05d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b" +
      "61161ae10b594f09e26a7e902ecbd0600691",
  );
  const opened = new Uint8Array(plaintext.length);
  expect(pureAead.decrypt(opened, sealed, parameters)).toBe(true);
  expect(opened).toEqual(plaintext);
});
