// Talks with the service: one place for the token, errors and time-outs.

const TOKEN = "service-token";
const ANSWER_MS = 12000; // the service itself gives Temporal 5 s

/** What the service answered instead, or that it did not answer (`status` 0). */
export class ApiError extends Error {
  constructor(status, sentences) {
    super(sentences.join(" "));
    this.status = status;
  }
}

export function hasToken() {
  return sessionStorage.getItem(TOKEN) !== null;
}

/** Kept for this tab only; null forgets it. */
export function setToken(token) {
  if (token === null) sessionStorage.removeItem(TOKEN);
  else sessionStorage.setItem(TOKEN, token);
}

/** One request; the decoded answer. Throws ApiError. */
export async function ask(method, path, { body, headers = {} } = {}) {
  const sent = { Accept: "application/json", ...headers };
  const token = sessionStorage.getItem(TOKEN);
  if (token !== null) sent.Authorization = `Bearer ${token}`;
  if (body !== undefined) sent["Content-Type"] = "application/json";
  let response;
  let answer;
  try {
    response = await fetch(path, {
      method,
      headers: sent,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    answer = await response.json();
  } catch {
    throw new ApiError(response?.status ?? 0, ["The service does not answer."]);
  }
  if (response.ok) return answer;
  throw new ApiError(response.status, answer.errors ?? ["The service answered with an error."]);
}

/** An id nobody else makes up, also where the page came without TLS and has no randomUUID. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
