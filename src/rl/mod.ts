/** Policy optimisation as pure functions: returns, advantages, weights and losses. @module */
export * from "./action_log_probs.ts";
export * from "./action_mean.ts";
export * from "./action_weights.ts";
export * from "./discounted_returns.ts";
export * from "./explained_variance.ts";
export * from "./generalized_advantages.ts";
export * from "./group_advantages.ts";
export * from "./grpo_loss.ts";
export * from "./kl_coefficient.ts";
export * from "./kl_estimators.ts";
export * from "./kl_shaped_rewards.ts";
export * from "./leave_one_out.ts";
export * from "./ppo_policy_loss.ts";
export * from "./reinforce_loss.ts";
export * from "./value_loss.ts";
export * from "./whiten.ts";
