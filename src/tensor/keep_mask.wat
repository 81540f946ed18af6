;; Random masks of ones and zeros: Philox4x32-10 on four blocks at a time.
;; Assemble with: deno run -A tests/unit/optim/assemble_kernels.ts
(module
  (memory (export "memory") 4)

  ;; Four floats per block from $out to $end, which is a multiple of 64 bytes further on: 1 where the
  ;; random word is at most $last (unsigned), else 0. The first block has the counter
  ;; ($counter, $counter_high, $step0, $step1).
  (func (export "fill")
    (param $out i32) (param $end i32) (param $key0 i32) (param $key1 i32)
    (param $counter i32) (param $counter_high i32) (param $step0 i32) (param $step1 i32)
    (param $last i32)
    (local $m0 v128) (local $m1 v128) (local $w0 v128) (local $w1 v128)
    (local $limit v128) (local $one v128) (local $next v128)
    (local $c0 v128) (local $c1 v128) (local $c2 v128) (local $c3 v128)
    (local $k0 v128) (local $k1 v128) (local $low v128) (local $high v128)
    (local $l0 v128) (local $h0 v128) (local $l1 v128) (local $h1 v128)
    (local $round i32)
    (local.set $m0 (i32x4.splat (i32.const 0xd2511f53)))
    (local.set $m1 (i32x4.splat (i32.const 0xcd9e8d57)))
    (local.set $w0 (i32x4.splat (i32.const 0x9e3779b9)))
    (local.set $w1 (i32x4.splat (i32.const 0xbb67ae85)))
    (local.set $limit (i32x4.splat (local.get $last)))
    (local.set $one (f32x4.splat (f32.const 1)))
    (local.set $next (i32x4.add (i32x4.splat (local.get $counter)) (v128.const i32x4 0 1 2 3)))
    (block $done
      (loop $blocks
        (br_if $done (i32.ge_u (local.get $out) (local.get $end)))
        (local.set $c0 (local.get $next))
        (local.set $c1 (i32x4.splat (local.get $counter_high)))
        (local.set $c2 (i32x4.splat (local.get $step0)))
        (local.set $c3 (i32x4.splat (local.get $step1)))
        (local.set $k0 (i32x4.splat (local.get $key0)))
        (local.set $k1 (i32x4.splat (local.get $key1)))
        (local.set $round (i32.const 10))
        (loop $rounds
          (local.set $low (i64x2.extmul_low_i32x4_u (local.get $c0) (local.get $m0)))
          (local.set $high (i64x2.extmul_high_i32x4_u (local.get $c0) (local.get $m0)))
          (local.set $l0 (i8x16.shuffle 0 1 2 3 8 9 10 11 16 17 18 19 24 25 26 27
            (local.get $low) (local.get $high)))
          (local.set $h0 (i8x16.shuffle 4 5 6 7 12 13 14 15 20 21 22 23 28 29 30 31
            (local.get $low) (local.get $high)))
          (local.set $low (i64x2.extmul_low_i32x4_u (local.get $c2) (local.get $m1)))
          (local.set $high (i64x2.extmul_high_i32x4_u (local.get $c2) (local.get $m1)))
          (local.set $l1 (i8x16.shuffle 0 1 2 3 8 9 10 11 16 17 18 19 24 25 26 27
            (local.get $low) (local.get $high)))
          (local.set $h1 (i8x16.shuffle 4 5 6 7 12 13 14 15 20 21 22 23 28 29 30 31
            (local.get $low) (local.get $high)))
          (local.set $c0 (v128.xor (v128.xor (local.get $h1) (local.get $c1)) (local.get $k0)))
          (local.set $c1 (local.get $l1))
          (local.set $c2 (v128.xor (v128.xor (local.get $h0) (local.get $c3)) (local.get $k1)))
          (local.set $c3 (local.get $l0))
          (local.set $k0 (i32x4.add (local.get $k0) (local.get $w0)))
          (local.set $k1 (i32x4.add (local.get $k1) (local.get $w1)))
          (br_if $rounds (local.tee $round (i32.sub (local.get $round) (i32.const 1)))))
        (local.set $c0 (v128.and (i32x4.le_u (local.get $c0) (local.get $limit)) (local.get $one)))
        (local.set $c1 (v128.and (i32x4.le_u (local.get $c1) (local.get $limit)) (local.get $one)))
        (local.set $c2 (v128.and (i32x4.le_u (local.get $c2) (local.get $limit)) (local.get $one)))
        (local.set $c3 (v128.and (i32x4.le_u (local.get $c3) (local.get $limit)) (local.get $one)))
        ;; Lane b of $c0 … $c3 are the words of block b: transpose, so that they stand together.
        (local.set $l0 (i8x16.shuffle 0 1 2 3 16 17 18 19 4 5 6 7 20 21 22 23
          (local.get $c0) (local.get $c1)))
        (local.set $h0 (i8x16.shuffle 8 9 10 11 24 25 26 27 12 13 14 15 28 29 30 31
          (local.get $c0) (local.get $c1)))
        (local.set $l1 (i8x16.shuffle 0 1 2 3 16 17 18 19 4 5 6 7 20 21 22 23
          (local.get $c2) (local.get $c3)))
        (local.set $h1 (i8x16.shuffle 8 9 10 11 24 25 26 27 12 13 14 15 28 29 30 31
          (local.get $c2) (local.get $c3)))
        (v128.store (local.get $out)
          (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23
            (local.get $l0) (local.get $l1)))
        (v128.store offset=16 (local.get $out)
          (i8x16.shuffle 8 9 10 11 12 13 14 15 24 25 26 27 28 29 30 31
            (local.get $l0) (local.get $l1)))
        (v128.store offset=32 (local.get $out)
          (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23
            (local.get $h0) (local.get $h1)))
        (v128.store offset=48 (local.get $out)
          (i8x16.shuffle 8 9 10 11 12 13 14 15 24 25 26 27 28 29 30 31
            (local.get $h0) (local.get $h1)))
        (local.set $next (i32x4.add (local.get $next) (i32x4.splat (i32.const 4))))
        (local.set $out (i32.add (local.get $out) (i32.const 64)))
        (br $blocks)))))
