/* RFC 3339 times in microseconds, as BigInt. */
import { CheckError, short } from "./text.mjs";

const FORM = /^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,6}))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))$/;

export function instant(text) {
  const found = typeof text === "string" ? FORM.exec(text) : null;
  if (!found) throw new CheckError(`${short(text)} is no time like 2026-01-01T00:00:00Z`);
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map(Number);
  const at = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  const said = [at.getUTCMonth() + 1, at.getUTCDate(), at.getUTCHours(), at.getUTCMinutes()];
  const [offsetHour, offsetMinute] = [Number(found[9] ?? 0), Number(found[10] ?? 0)];
  if (
    String(said) !== String([month, day, hour, minute]) || second > 59 || year < 1
    || offsetHour > 23 || offsetMinute > 59
  ) {
    throw new CheckError(`${short(text)} is no time that there is`);
  }
  const offset = (offsetHour * 60 + offsetMinute) * (found[8] === "-" ? -1 : 1);
  const fraction = BigInt((found[7] ?? "").padEnd(6, "0"));
  return BigInt(at.getTime() - offset * 60_000) * 1000n + fraction;
}
