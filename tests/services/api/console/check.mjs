// Cases from standard input, what the browser's check says of each to standard output.
import { check } from "../../../../services/api/console/static/check/steps.mjs";

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const { at, kept, cases } = JSON.parse(Buffer.concat(chunks));
const bytes = kept.map((text) => new Uint8Array(Buffer.from(text, "base64")));
const said = [];
for (const { files, status, trusted } of cases) {
  const named = new Map(Object.entries(files).map(([name, number]) => [name, bytes[number]]));
  const more = { status: bytes[status], trusted: bytes[trusted], at: BigInt(at) };
  said.push(await check(named, more));
}
process.stdout.write(JSON.stringify(said));
