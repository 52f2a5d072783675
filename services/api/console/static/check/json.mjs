/*
 * Canonical JSON: one value, one byte string (RFC 8785), and a reader that refuses
 * what readers may read differently (as mrv/signatures/canonical.py): repeated keys, numbers
 * with a fraction, integers that a double rounds, halves of surrogate pairs.
 */
import { CheckError, fromUtf8, short, utf8 } from "./text.mjs";

const DEEPEST = 500;
const TOKEN = /[ \t\n\r]*(?:([{}[\],:])|"((?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*)"|(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)|(true|false|null))/y;
const WORDS = { true: true, false: false, null: null };
const LONE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** Value of UTF-8 JSON bytes; objects have no prototype. */
export function parse(bytes, what = "document") {
  const text = fromUtf8(bytes, what);
  const reader = new Reader(text, what);
  const value = reader.value(0);
  if (!/^[ \t\n\r]*$/.test(text.slice(reader.at))) reader.fail("more text after its end");
  return value;
}

/** Like `parse`, for bytes that must hold an object. */
export function parseObject(bytes, what = "document") {
  const value = parse(bytes, what);
  if (!isObject(value)) throw new CheckError(`${what}: expected a JSON object {...}`);
  return value;
}

export function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

/** Canonical bytes of a value. */
export const encode = (value) => utf8(canonical(value));

/** JSON for people, as packs hold it: indented by one, keys in order. */
export function legible(value) {
  return utf8(`${JSON.stringify(sorted(value), null, 1)}\n`);
}

/** Whether two values are the same. */
export const equal = (one, other) => canonical(one ?? null) === canonical(other ?? null);

function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (!isObject(value)) return JSON.stringify(value);
  // the default order of strings is that of UTF-16 units, which RFC 8785 asks for
  const members = Object.keys(value).sort();
  return `{${members.map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(",")}}`;
}

function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
}

class Reader {
  constructor(text, what) {
    this.text = text;
    this.what = what;
    this.at = 0;
  }

  fail(why) {
    throw new CheckError(`${this.what} is not JSON of one meaning: ${why} (at ${this.at})`);
  }

  token() {
    TOKEN.lastIndex = this.at;
    const found = TOKEN.exec(this.text);
    if (!found) this.fail("unexpected text");
    this.at = TOKEN.lastIndex;
    return found;
  }

  value(depth) {
    if (depth > DEEPEST) this.fail("nested too deeply");
    const [whole, mark, , number, word] = this.token();
    if (mark === "{") return this.object(depth);
    if (mark === "[") return this.array(depth);
    if (mark) this.fail(`unexpected ${mark}`);
    if (word) return WORDS[word];
    return number === undefined ? this.string(whole) : this.number(number);
  }

  string(whole) {
    const text = JSON.parse(whole.trimStart());
    if (LONE.test(text)) this.fail("half a surrogate pair");
    return text;
  }

  number(text) {
    if (/[.eE]/.test(text)) this.fail(`the number ${short(text)} has a fraction or an exponent`);
    const value = Number(text);
    if (!Number.isSafeInteger(value)) this.fail(`the integer ${short(text)} is too large`);
    return value + 0 === 0 ? 0 : value;
  }

  array(depth) {
    const found = [];
    if (this.closes("]")) return found;
    for (;;) {
      found.push(this.value(depth + 1));
      if (this.next("]")) return found;
    }
  }

  object(depth) {
    const found = Object.create(null);
    if (this.closes("}")) return found;
    for (;;) {
      const [whole, , text] = this.token();
      if (text === undefined && !whole.trimStart().startsWith('"')) this.fail("a key is no text");
      const key = this.string(whole);
      if (key in found) this.fail(`key ${short(key)} stands twice`);
      if (this.token()[1] !== ":") this.fail("a key without its value");
      found[key] = this.value(depth + 1);
      if (this.next("}")) return found;
    }
  }

  closes(mark) {
    const before = this.at;
    if (this.token()[1] === mark) return true;
    this.at = before;
    return false;
  }

  next(mark) {
    const found = this.token()[1];
    if (found !== mark && found !== ",") this.fail(`neither , nor ${mark}`);
    return found === mark;
  }
}
