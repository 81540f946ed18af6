/**
 * Texts that transformers.js writes with exported folders, offline. Runs in a folder where it is
 * installed:
 *
 *     deno run -A --node-modules-dir=manual _transformers_js.mjs MODELS REQUESTS ANSWERS
 */
const [models, requests, answers] = Deno.args;
const library = "node_modules/@huggingface/transformers/dist/transformers.node.mjs";
const { AutoTokenizer, env, pipeline } = await import(`file://${Deno.cwd()}/${library}`);
env.allowRemoteModels = false;
env.localModelPath = `${models}/`;
env.useFSCache = false;

const all = {};
for (const request of JSON.parse(await Deno.readTextFile(requests))) {
  const { model, dtype, task, prompts, newTokens } = request;
  const write = await pipeline(task, model, { dtype, device: "cpu" });
  const options = {
    max_new_tokens: newTokens,
    do_sample: false,
    return_full_text: false,
    // Its own pipeline leaves a prompt without the token that the tokenizer puts before every text.
    add_special_tokens: true,
  };
  const textOf = (output) => [output].flat(2).map(({ generated_text }) => generated_text);
  const texts = [];
  for (const prompt of prompts) texts.push(...textOf(await write(prompt, options)));
  const batch = textOf(await write(prompts.slice(0, 2), options));
  const tokenizer = await AutoTokenizer.from_pretrained(model);
  const ids = prompts.map((prompt) => tokenizer.encode(prompt));
  const inputs = tokenizer(prompts[0]);
  if (task === "text2text-generation") {
    const { Tensor } = await import(`file://${Deno.cwd()}/${library}`);
    inputs.decoder_input_ids = new Tensor("int64", BigInt64Array.of(0n), [1, 1]);
  }
  const { logits } = await write.model(inputs);
  const width = logits.dims.at(-1);
  all[`${model} ${dtype}`] = { texts, batch, ids, logits: [...logits.data.slice(-width)] };
  await write.dispose();
}
await Deno.writeTextFile(answers, JSON.stringify(all));
