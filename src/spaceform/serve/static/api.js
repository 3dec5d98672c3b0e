// Questions to the server. A question of a kind ends the one before it, there too: the server stops working on it.
const asked = new Map();

export class Refused extends Error {
  constructor(error, status) {
    super(error.message);
    Object.assign(this, error, { status });
  }
}

export async function ask(kind, path, options = {}) {
  asked.get(kind)?.abort();
  const control = new AbortController();
  asked.set(kind, control);
  const begun = performance.now();
  let answer;
  try {
    answer = await fetch(path, { ...options, signal: control.signal });
  } catch (error) {
    if (error.name === "AbortError") return null;
    throw new Refused({ name: "server", message: "The server does not answer. Is it still running?" }, 0);
  }
  let body;
  try {
    body = await answer.json();
  } catch (error) {
    if (error.name === "AbortError") return null;
    throw new Refused({ name: "server", message: `The server answered ${answer.status} without words.` }, answer.status);
  }
  if (asked.get(kind) !== control) return null;
  asked.delete(kind);
  if (!answer.ok) throw new Refused(body.error, answer.status);
  return { body, status: answer.status, elapsed: performance.now() - begun };
}

export function path(address, parameters) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value) search.set(name, value);
  const text = search.toString();
  return text ? `${address}?${text}` : address;
}
