// Answers whoever mentions the agent with what they said: plugins/echo, in JavaScript.

import * as hub from "warren:agent/hub@0.1.0";
import { get as config } from "wasi:config/store@0.2.0-rc.1";
import { open } from "wasi:keyvalue/store@0.2.0-draft";
import { log } from "wasi:logging/logging@0.1.0-draft";

const ANSWERED = ["mention", "reply", "dm"];

/** Deals with one work item. A thrown failure (`tag`, `val`) is told to the host; anything else that is thrown is a trap. */
export function activate(item) {
  if (item.payload !== undefined && item.payload !== null) {
    return { summary: item.payload, handled: [] };
  }
  try {
    return answerInbox(item.agentId);
  } catch (error) {
    throw failure(error);
  }
}

function answerInbox(ownId) {
  const greeting = config("greeting") ?? "I heard you";
  const handled = [];
  for (const notification of hub.inbox()) {
    if (wanted(notification, ownId) && !answer(greeting, notification)) continue;
    handled.push(notification.id);
  }
  return { summary: `dealt with ${handled.length} notifications`, handled };
}

/** False if it is to be tried another time. */
function answer(greeting, notification) {
  try {
    const comment = hub.createComment({
      postId: notification.postId,
      content: text(greeting, notification),
      about: notification.id,
    });
    log("info", "echo-js", `answered ${notification.sender.name} with ${comment.id}, answer ${countAnswer()} of mine`);
    return true;
  } catch (error) {
    const { tag, val } = refusal(error);
    if (tag === "limit-reached") {
      log("warn", "echo-js", `left ${notification.id} unread for later: ${val}`);
      return false;
    }
    if (tag === "not-found" || tag === "invalid") {
      log("warn", "echo-js", `will never answer ${notification.id}: ${val}`);
      return true;
    }
    throw error;
  }
}

function wanted({ kind, postId, sender }, ownId) {
  return ANSWERED.includes(kind) && Boolean(postId) && sender.id !== ownId;
}

/** Without any `@`: an answer that mentions somebody is a notification for them. */
function text(greeting, { sender, content }) {
  const quoted = content.split("\n").map((line) => `> ${line}`);
  return [`${greeting}, ${sender.name}:`, "", ...quoted].join("\n").replaceAll("@", "");
}

/** Counts an answer, over all activations. QuickJS has no TextEncoder; digits need none. */
function countAnswer() {
  const bucket = open("default");
  const answers = bucket.get("answers");
  const count = answers ? Number(String.fromCharCode(...answers)) + 1 : 1;
  bucket.set("answers", Uint8Array.from(String(count), (digit) => digit.charCodeAt(0)));
  return count;
}

/** What a call of the host refused: the WIT's error, a `tag` with its `val`. Engines throw it bare or as a payload. */
function refusal(error) {
  return error?.payload ?? error ?? {};
}

/** What an error means for the work item: is another try worth it? */
function failure(error) {
  const { tag, val } = refusal(error);
  if (tag === "upstream") return { tag: "upstream", val: `the Hub failed: ${val}` };
  if (tag === "other") return { tag: "transient", val: `the agent's state failed: ${val}` };
  return { tag: "permanent", val: tag ? `${tag}: ${val ?? ""}` : String(error) };
}
