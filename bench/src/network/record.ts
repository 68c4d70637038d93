import { readFile, writeFile } from "node:fs/promises";

/** Puts `text` in place of what a Markdown file has between its markers `<!-- NAME -->` and `<!-- /NAME -->`. */
export async function record(file: URL, name: string, text: string): Promise<void> {
  const page = await readFile(file, "utf8");
  const [begin, end] = [`<!-- ${name} -->\n`, `<!-- /${name} -->`];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${file.pathname} has no ${begin.trim()} with its ${end} behind`);
  await writeFile(file, `${page.slice(0, from + begin.length)}\n${text}\n\n${page.slice(to)}`);
}
