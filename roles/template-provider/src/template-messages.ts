import { targetToBytes } from "@adit/bitcoin";
import { type NewTemplate, type TemplateSetNewPrevHash, u256 } from "@adit/codec";
import type { BlockTemplate } from "./template/block-template.ts";

/** A template as NewTemplate (spec 7.2). */
export function newTemplateMessage(templateId: bigint, template: BlockTemplate, futureTemplate: boolean): NewTemplate {
  return {
    name: "NewTemplate",
    templateId,
    futureTemplate,
    version: template.version,
    coinbaseTxVersion: template.coinbaseVersion,
    coinbasePrefix: template.coinbasePrefix,
    coinbaseTxInputSequence: template.coinbaseSequence,
    coinbaseTxValueRemaining: template.valueRemaining,
    coinbaseTxOutputsCount: template.outputsCount,
    coinbaseTxOutputs: template.outputs,
    coinbaseTxLocktime: template.coinbaseLocktime,
    merklePath: template.merklePath.map((sibling) => u256(sibling)),
  };
}

/** What starts work on a template's tip, as SetNewPrevHash (spec 7.3). `headerTimestamp` is in Unix seconds. */
export function setNewPrevHashMessage(
  templateId: bigint,
  template: BlockTemplate,
  headerTimestamp: number,
): TemplateSetNewPrevHash {
  return {
    name: "SetNewPrevHash",
    templateId,
    prevHash: u256(template.prevHash),
    headerTimestamp,
    nBits: template.bits,
    target: u256(targetToBytes(template.target)),
  };
}
