/* The files of a zip as it was downloaded, without unpacking it first. */
import { CheckError } from "./text.mjs";

const END = 0x06054b50, ENTRY = 0x02014b50, LOCAL = 0x04034b50, DESCRIPTOR = 0x08074b50;
const NOT_WHOLE = "the zip has bytes that belong to none of its files";
const MOST_BYTES = 2 ** 31;
const MOST_FILES = 20_000;

export const isZip = (bytes) => bytes.length > 21 && view(bytes).getUint32(0, true) === LOCAL;

/** Files by their path in the zip's only folder, as in the folder itself. */
export async function unzipped(bytes) {
  const data = view(bytes);
  const end = endOf(bytes, data);
  const count = data.getUint16(end + 10, true);
  let at = data.getUint32(end + 16, true);
  if (count > MOST_FILES || count === 0xffff) throw new CheckError("the zip holds too many files");
  if (end + 22 !== bytes.length || data.getUint16(end + 20, true)) throw new CheckError(NOT_WHOLE);
  const [central, parts] = [at, []];
  const found = new Map();
  let left = MOST_BYTES;
  for (let n = 0; n < count; n += 1) {
    if (at + 46 > bytes.length || data.getUint32(at, true) !== ENTRY) throw new CheckError("the zip is damaged");
    const [method, packed, size] = [data.getUint16(at + 10, true), data.getUint32(at + 20, true), data.getUint32(at + 24, true)];
    const [name, extra, comment] = [28, 30, 32].map((o) => data.getUint16(at + o, true));
    const path = new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(at + 46, at + 46 + name));
    const local = data.getUint32(at + 42, true);
    parts.push([local, packed, data.getUint16(at + 8, true)]);
    at += 46 + name + extra + comment;
    if (path.endsWith("/")) continue;
    if (found.has(path) || path.startsWith("/") || path.split("/").includes("..")) {
      throw new CheckError(`the zip holds ${path}, twice or elsewhere`);
    }
    left -= size;
    if (left < 0) throw new CheckError("the zip is too large for a browser; use `tonne verify`");
    found.set(path, await content(bytes, data, local, method, packed, size));
  }
  if (at !== end || endOfParts(parts, bytes, data) !== central) throw new CheckError(NOT_WHOLE);
  return withoutFolder(found);
}

/** Where heads, contents and descriptors of all entries end that follow one another from 0. */
function endOfParts(parts, bytes, data) {
  let end = 0;
  for (const [local, packed, flags] of parts.sort(([one], [other]) => one - other)) {
    if (local !== end || local + 30 > bytes.length) return -1;
    end = local + 30 + data.getUint16(local + 26, true) + data.getUint16(local + 28, true) + packed;
    if (end + 4 > bytes.length) return -1;
    if (flags & 8) end += data.getUint32(end, true) === DESCRIPTOR ? 16 : 12;
  }
  return end;
}

function view(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function endOf(bytes, data) {
  for (let at = bytes.length - 22; at >= 0 && at > bytes.length - 66_000; at -= 1) {
    if (data.getUint32(at, true) === END) return at;
  }
  throw new CheckError("the zip was cut off");
}

async function content(bytes, data, local, method, packed, size) {
  if (local + 30 > bytes.length || data.getUint32(local, true) !== LOCAL) throw new CheckError("the zip is damaged");
  const begin = local + 30 + data.getUint16(local + 26, true) + data.getUint16(local + 28, true);
  const raw = bytes.subarray(begin, begin + packed);
  if (method === 0) return whole(raw, size);
  if (method !== 8) throw new CheckError(`the zip packs by method ${method}; only deflate is read`);
  const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const reader = stream.getReader();
  const out = new Uint8Array(size);
  let at = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (at + value.length > size) throw new CheckError("a file of the zip is longer than it says");
      out.set(value, at);
      at += value.length;
    }
  } catch (error) {
    if (error instanceof CheckError) throw error;
    throw new CheckError("a file of the zip cannot be unpacked");
  }
  return whole(out.subarray(0, at), size);
}

function whole(part, size) {
  if (part.length !== size) throw new CheckError("a file of the zip is cut off");
  return new Uint8Array(part);
}

function withoutFolder(found) {
  const tops = new Set([...found.keys()].map((path) => path.split("/")[0]));
  if (tops.size !== 1 || [...found.keys()].some((path) => !path.includes("/"))) return found;
  return new Map([...found].map(([path, data]) => [path.slice(path.indexOf("/") + 1), data]));
}
