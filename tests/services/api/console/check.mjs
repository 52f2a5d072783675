// Cases from standard input, what the browser's check says of each to standard output.
import { check } from "../../../../services/api/console/static/check/steps.mjs";

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const said = [];
for (const { files, status, trusted, at } of JSON.parse(Buffer.concat(chunks))) {
  const bytes = (text) => (text === undefined ? undefined : new Uint8Array(Buffer.from(text, "base64")));
  const named = new Map(Object.entries(files).map(([name, text]) => [name, bytes(text)]));
  const moment = at === undefined ? undefined : BigInt(at);
  said.push(await check(named, { status: bytes(status), trusted: bytes(trusted), at: moment }));
}
process.stdout.write(JSON.stringify(said));
