/** Prompts are those of `apply_chat_template` of Python's `transformers` 5.18. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { DataError } from "../../../src/errors.ts";
import {
  applyChatTemplate,
  type ChatMessage,
  type ChatOptions,
  encodeChat,
  loadTokenizer,
} from "../../../src/text/mod.ts";
import { CHATML, LLAMA3, MISC, MISTRAL, TOOLS } from "./_chat_templates.ts";
import { llama3 } from "./_families.ts";

/** Well above what the bounds allow, on a busy machine. */
const FOREVER_MS = 30_000;

const CONFIG = { bos_token: "<s>", eos_token: { content: "</s>" }, pad_token: "<pad>" };
const TALK: ChatMessage[] = [
  { role: "user", content: "Hello  there" },
  { role: "assistant", content: "Hi" },
  { role: "user", content: " näh 🙂\n" },
];
const KIND: ChatMessage[] = [
  { role: "system", content: '  You are "kind".\n' },
  { role: "user", content: "Q?" },
];
const CALL: ChatMessage[] = [
  { role: "system", content: "S" },
  { role: "user", content: "w" },
  {
    role: "assistant",
    content: "",
    tool_calls: [{
      type: "function",
      function: { name: "get", arguments: { city: "Zürich", n: 3, x: null } },
    }],
  },
  { role: "tool", content: '{"t": 1}' },
  { role: "tool", content: "2" },
  { role: "assistant", content: "done" },
];
const SCHEMA = {
  type: "function",
  function: {
    name: "get",
    description: "It's <b>",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};
const NOW = new Date(2025, 2, 7, 9, 5, 3);

function apply(chatTemplate: string, messages: ChatMessage[], options: ChatOptions = {}): string {
  return applyChatTemplate({ chatTemplate, tokenizerConfig: CONFIG }, messages, {
    now: NOW,
    ...options,
  });
}

Deno.test("messages in a loop, with a default system message", () => {
  const prompt =
    "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello  there<|im_end|>\n" +
    "<|im_start|>assistant\nHi<|im_end|>\n<|im_start|>user\n näh 🙂\n<|im_end|>\n";
  assertEquals(apply(CHATML, TALK), prompt);
  assertEquals(
    apply(CHATML, TALK, { addGenerationPrompt: true }),
    `${prompt}<|im_start|>assistant\n`,
  );
});

Deno.test("tools, their calls and their answers", () => {
  assertEquals(
    apply(TOOLS, CALL, { tools: [SCHEMA], addGenerationPrompt: true }),
    "<|im_start|>system\nS\n\n# Tools\n<tools>\n" +
      '{"type": "function", "function": {"name": "get", "description": "It\'s <b>", "parameters": ' +
      '{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}' +
      "\n</tools><|im_end|>\n<|im_start|>user\nw|last<|im_end|>\n<|im_start|>assistant\n<tool_call>\n" +
      '{"name": "get", "arguments": {"city": "Zürich", "n": 3, "x": null}}\n</tool_call><|im_end|>\n' +
      '<|im_start|>user\n<tool_response>\n{"t": 1}\n</tool_response>\n<tool_response>\n2\n' +
      "</tool_response><|im_end|>\n<|im_start|>assistant\ndone<|im_end|>\n<|im_start|>assistant\n",
  );
  assertEquals(
    apply(TOOLS, TALK),
    "<|im_start|>user\nHello  there<|im_end|>\n<|im_start|>assistant\nHi<|im_end|>\n" +
      "<|im_start|>user\n näh 🙂\n|last<|im_end|>\n",
  );
});

Deno.test("dates, trimmed texts, slices of the messages, indented JSON", () => {
  assertEquals(
    apply(LLAMA3, KIND, { addGenerationPrompt: true }),
    "<s><|start_header_id|>system<|end_header_id|>\n\nToday Date: 07 Mar 2025\n\n" +
      'You are "kind".<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nQ?<|eot_id|>' +
      "<|start_header_id|>assistant<|end_header_id|>\n\n",
  );
  assertEquals(
    apply(LLAMA3, CALL.filter(({ role }) => role !== "tool"), {
      variables: { date_string: "then" },
    }),
    "<s><|start_header_id|>system<|end_header_id|>\n\nToday Date: then\n\nS<|eot_id|>" +
      "<|start_header_id|>user<|end_header_id|>\n\nw<|eot_id|>{\n" +
      '    "name": "get",\n    "arguments": {\n        "city": "Zürich",\n        "n": 3,\n' +
      '        "x": null\n    }\n}<|start_header_id|>assistant<|end_header_id|>\n\ndone<|eot_id|>',
  );
});

Deno.test("macros, filters, tests and the rest", () => {
  assertEquals(
    apply(MISC, KIND, { variables: { enable_thinking: "think" } }),
    "  1/1 USER User 2\n" +
      "[system, user] [a-b]\n" +
      '{"k": [1, 2.5, true, null, "é\\""]} [2.5, true] 1\n' +
      "b=1;a=2; a\n" +
      "2 3 1 a1 cba b s\n" +
      "1 dflt\n" +
      "gen think\n" +
      "yz\n" +
      'a\tb 1 1 Hello world {"role": "user", "content": "Q?"} [2, 4, 6]\n' +
      'its "<&>" %s Q?',
  );
  const none = "{{ 'none' if tools is none and documents is none }}";
  assertEquals([apply(none, []), apply(none, [], { tools: [] })], ["none", ""]);
  assertEquals(
    apply("{{ strftime_now('%I %p') }}", [], { now: new Date(2025, 2, 7, 0, 5) }),
    "12 AM",
  );
  // Python: datetime(2025, 3, 7, 9, 5, 3).strftime(…)
  assertEquals(
    apply("{{ strftime_now('%d %b %Y|%-d %B %y %A %a %j %H %I %p %M %S %F %T %% %Q') }}", []),
    "07 Mar 2025|7 March 25 Friday Fri 066 09 09 AM 05 03 2025-03-07 09:05:03 % %Q",
  );
});

Deno.test("a template's refusal is an error with its words", () => {
  assertEquals(
    apply(MISTRAL, TALK),
    "<s>[INST] Hello  there [/INST]Hi</s>[INST]  näh 🙂\n [/INST]",
  );
  assertThrows(
    () => apply(MISTRAL, TALK.slice(1)),
    DataError,
    'Cannot apply the chat template: it says "Roles must alternate user/assistant!"',
  );
});

Deno.test("the template is the file's, or the configuration's, by name where there are several", () => {
  const named = (...names: string[]) => ({
    chat_template: names.map((name) => ({ name, template: `${name}!` })),
  });
  const of = (tokenizerConfig: unknown, options: ChatOptions = {}): string =>
    applyChatTemplate({ tokenizerConfig }, TALK, options);
  assertEquals(of({ chat_template: "config" }), "config");
  assertEquals(
    applyChatTemplate({ tokenizerConfig: named("default"), chatTemplate: "file" }, []),
    "file",
  );
  const both = named("default", "tool_use", "rag");
  assertEquals([of(both), of(both, { tools: [] }), of(both, { templateName: "rag" })], [
    "default!",
    "tool_use!",
    "rag!",
  ]);
  assertEquals(of(named("default"), { tools: [] }), "default!");
  assertThrows(
    () => of(both, { templateName: "x" }),
    DataError,
    'none called "x"; there are "default", ',
  );
  assertThrows(
    () => of({}),
    DataError,
    "the model has none; pass the text of its chat_template.jinja",
  );
  assertThrows(() => of({ chat_template: 5 }), DataError, '"chat_template" is 5, neither');
});

Deno.test("ids are those of the prompt, without a second token at the start", () => {
  const tokenizer = loadTokenizer(llama3());
  const files = {
    chatTemplate: "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}",
    tokenizerConfig: { bos_token: "<|begin_of_text|>" },
  };
  assertEquals([...encodeChat(tokenizer, files, [{ role: "user", content: "a" }])], [287, 97]);
});

Deno.test("broken and endless templates end in an error", () => {
  const nested = (open: string, close: string, times: number): string =>
    open.repeat(times) + close.repeat(times);
  const bad: [string, string][] = [
    ["{% for x in %}", "Cannot apply the chat template: "],
    ["{{ unclosed", "Cannot apply the chat template: "],
    ["{{ messages | no_such_filter }}", "no_such_filter"],
    ["{{ messages[0].content() }}", "Cannot call"],
    [nested("{% for a in range(99999) %}", "{% endfor %}", 4), "steps"],
    [nested("{% for a in range(999) %}", "x{% endfor %}", 4), "steps"],
    ["{% for a in range(1000000000000) %}{% endfor %}", "range"],
    ["{{ range(1, 2, 0) }}", "range"],
    [
      "{% set n = namespace(s='x') %}{% for a in range(99) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
      "text",
    ],
    [
      "{% set n = namespace(s=[1]) %}{% for a in range(99) %}{% set n.s = n.s + n.s %}{% endfor %}",
      "list",
    ],
    [
      "{% set n = namespace(s=[1]) %}{% for a in range(99) %}{% set n.s = [n.s, n.s] %}{% endfor %}" +
      "{{ n.s | tojson }}",
      "list or object",
    ],
    ["{% set n = namespace(a=1) %}{% set n.a = n %}{{ n | tojson }}", "stack"],
    [nested("{% if true %}", "{% endif %}", 20_000), "stack"],
    [`{{ ${nested("(", ")", 50_000)} }}`, "Cannot apply the chat template: "],
    [" ".repeat(2 ** 20 + 1), "characters"],
  ];
  const start = performance.now();
  for (const [template, message] of bad) {
    assertThrows(() => apply(template, TALK), DataError, message);
  }
  assert(performance.now() - start < FOREVER_MS);
});

Deno.test("a template reaches nothing but its variables", () => {
  for (
    const way of [
      "messages.constructor",
      "''.constructor",
      "namespace.constructor",
      "Deno",
      "globalThis",
    ]
  ) {
    assertEquals(
      apply(`{{ ${way} is defined and ${way} is not none and 'reached' }}`, TALK).includes(
        "reached",
      ),
      false,
      way,
    );
  }
});
