// The API, as the pages' scripts ask it: with the session's cookie and its CSRF
// token. A refusal throws a Refusal, whose message is for the person.
export class Refusal extends Error {
  constructor(status, problem) {
    super(wording(problem.detail) ?? "The server can not be reached. Try again.");
    this.status = status;
    this.problem = problem;
  }
}

const token = () => document.cookie.split("; ").find((c) => c.startsWith("csrftoken="))?.slice("csrftoken=".length) ?? "";

// parse reads JSON; what a proxy in front answers on its own account is none.
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

// wording is a problem's sentence without the place in the request's body.
const wording = (detail) => detail?.replace(/^body\.\w+: (.)/, (_, first) => first.toUpperCase());

// call answers { status, headers, body }; body is undefined where there is none.
export async function call(method, path, body, headers = {}) {
  const init = { method, headers: { Accept: "application/json", ...headers }, cache: "no-store", credentials: "same-origin" };
  if (method !== "GET") init.headers["X-CSRFToken"] = token();
  if (body !== undefined) {
    init.headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(`/api/v1${path}`, init);
  } catch {
    throw new Refusal(0, {});
  }
  const text = await answer.text();
  const parsed = text ? parse(text) : undefined;
  if (answer.status === 401) {
    location.assign(`/login/?next=${encodeURIComponent(location.pathname + location.search)}`);
  }
  if (!answer.ok) throw new Refusal(answer.status, parsed ?? {});
  return { status: answer.status, headers: answer.headers, body: parsed };
}
