;; The loops that touch every parameter. Pointers are byte addresses into one imported memory.
;; Flat kernels work on whole vectors of four floats: their lengths are multiples of 16 bytes.
;; Row kernels take any number of floats and finish with a scalar tail.
;; Assemble with: deno run -A tests/unit/optim/assemble_kernels.ts
(module
  (import "env" "memory" (memory 1 65536))

  ;; y += a * x
  (func (export "axpy") (param $y i32) (param $end i32) (param $x i32) (param $a f32)
    (local $va v128)
    (local.set $va (f32x4.splat (local.get $a)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $y) (local.get $end)))
        (v128.store (local.get $y)
          (f32x4.add (v128.load (local.get $y))
            (f32x4.mul (local.get $va) (v128.load (local.get $x)))))
        (local.set $y (i32.add (local.get $y) (i32.const 16)))
        (local.set $x (i32.add (local.get $x) (i32.const 16)))
        (br $next))))

  ;; y += rate * (x - y)
  (func (export "lerp") (param $y i32) (param $end i32) (param $x i32) (param $rate f32)
    (local $vr v128) (local $vy v128)
    (local.set $vr (f32x4.splat (local.get $rate)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $y) (local.get $end)))
        (local.set $vy (v128.load (local.get $y)))
        (v128.store (local.get $y)
          (f32x4.add (local.get $vy)
            (f32x4.mul (local.get $vr)
              (f32x4.sub (v128.load (local.get $x)) (local.get $vy)))))
        (local.set $y (i32.add (local.get $y) (i32.const 16)))
        (local.set $x (i32.add (local.get $x) (i32.const 16)))
        (br $next))))

  ;; sum of x^2, squared and summed in float64 in two lanes of even and two of odd halves
  (func (export "sum_of_squares") (param $x i32) (param $end i32) (result f64)
    (local $v v128) (local $low v128) (local $high v128) (local $a v128) (local $b v128)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $x) (local.get $end)))
        (local.set $v (v128.load (local.get $x)))
        (local.set $low (f64x2.promote_low_f32x4 (local.get $v)))
        (local.set $high (f64x2.promote_low_f32x4
          (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15
            (local.get $v) (local.get $v))))
        (local.set $a (f64x2.add (local.get $a) (f64x2.mul (local.get $low) (local.get $low))))
        (local.set $b (f64x2.add (local.get $b) (f64x2.mul (local.get $high) (local.get $high))))
        (local.set $x (i32.add (local.get $x) (i32.const 16)))
        (br $next)))
    (local.set $a (f64x2.add (local.get $a) (local.get $b)))
    (f64.add (f64x2.extract_lane 0 (local.get $a)) (f64x2.extract_lane 1 (local.get $a))))

  ;; g *= scale; m += (1 - beta1) (g - m); v = beta2 v + (1 - beta2) g^2
  ;; p = keep p - rate m / (sqrt(v) correction + epsilon)
  (func (export "adamw")
    (param $p i32) (param $end i32) (param $g i32) (param $m i32) (param $v i32)
    (param $scale f32) (param $beta1_rest f32) (param $beta2 f32) (param $beta2_rest f32)
    (param $rate f32) (param $correction f32) (param $epsilon f32) (param $keep f32)
    (local $vscale v128) (local $vb1r v128) (local $vb2 v128) (local $vb2r v128)
    (local $vrate v128) (local $vcorrection v128) (local $veps v128) (local $vkeep v128)
    (local $vg v128) (local $vm v128) (local $vv v128)
    (local.set $vscale (f32x4.splat (local.get $scale)))
    (local.set $vb1r (f32x4.splat (local.get $beta1_rest)))
    (local.set $vb2 (f32x4.splat (local.get $beta2)))
    (local.set $vb2r (f32x4.splat (local.get $beta2_rest)))
    (local.set $vrate (f32x4.splat (local.get $rate)))
    (local.set $vcorrection (f32x4.splat (local.get $correction)))
    (local.set $veps (f32x4.splat (local.get $epsilon)))
    (local.set $vkeep (f32x4.splat (local.get $keep)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $p) (local.get $end)))
        (local.set $vg (f32x4.mul (v128.load (local.get $g)) (local.get $vscale)))
        (local.set $vm (v128.load (local.get $m)))
        (local.set $vm (f32x4.add (local.get $vm)
          (f32x4.mul (local.get $vb1r) (f32x4.sub (local.get $vg) (local.get $vm)))))
        (local.set $vv (f32x4.add
          (f32x4.mul (local.get $vb2) (v128.load (local.get $v)))
          (f32x4.mul (local.get $vb2r) (f32x4.mul (local.get $vg) (local.get $vg)))))
        (v128.store (local.get $m) (local.get $vm))
        (v128.store (local.get $v) (local.get $vv))
        (v128.store (local.get $p)
          (f32x4.sub
            (f32x4.mul (local.get $vkeep) (v128.load (local.get $p)))
            (f32x4.div
              (f32x4.mul (local.get $vrate) (local.get $vm))
              (f32x4.add
                (f32x4.mul (f32x4.sqrt (local.get $vv)) (local.get $vcorrection))
                (local.get $veps)))))
        (local.set $p (i32.add (local.get $p) (i32.const 16)))
        (local.set $g (i32.add (local.get $g) (i32.const 16)))
        (local.set $m (i32.add (local.get $m) (i32.const 16)))
        (local.set $v (i32.add (local.get $v) (i32.const 16)))
        (br $next))))

  ;; One row of g: column[j] += (scale g[j])^2 + epsilon; returns the sum of the same over the row
  (func (export "row_squares")
    (param $g i32) (param $end i32) (param $column i32) (param $scale f32) (param $epsilon f32)
    (result f64)
    (local $vscale v128) (local $veps v128) (local $s v128) (local $a v128) (local $b v128)
    (local $x f32) (local $sum f64)
    (local.set $vscale (f32x4.splat (local.get $scale)))
    (local.set $veps (f32x4.splat (local.get $epsilon)))
    (block $done
      (loop $next
        (br_if $done (i32.gt_u (i32.add (local.get $g) (i32.const 16)) (local.get $end)))
        (local.set $s (f32x4.mul (local.get $vscale) (v128.load (local.get $g))))
        (local.set $s
          (f32x4.add (f32x4.mul (local.get $s) (local.get $s)) (local.get $veps)))
        (v128.store (local.get $column)
          (f32x4.add (v128.load (local.get $column)) (local.get $s)))
        (local.set $a (f64x2.add (local.get $a) (f64x2.promote_low_f32x4 (local.get $s))))
        (local.set $b (f64x2.add (local.get $b) (f64x2.promote_low_f32x4
          (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15
            (local.get $s) (local.get $s)))))
        (local.set $g (i32.add (local.get $g) (i32.const 16)))
        (local.set $column (i32.add (local.get $column) (i32.const 16)))
        (br $next)))
    (local.set $a (f64x2.add (local.get $a) (local.get $b)))
    (local.set $sum
      (f64.add (f64x2.extract_lane 0 (local.get $a)) (f64x2.extract_lane 1 (local.get $a))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $g) (local.get $end)))
        (local.set $x (f32.mul (local.get $scale) (f32.load (local.get $g))))
        (local.set $x
          (f32.add (f32.mul (local.get $x) (local.get $x)) (local.get $epsilon)))
        (f32.store (local.get $column)
          (f32.add (f32.load (local.get $column)) (local.get $x)))
        (local.set $sum (f64.add (local.get $sum) (f64.promote_f32 (local.get $x))))
        (local.set $g (i32.add (local.get $g) (i32.const 4)))
        (local.set $column (i32.add (local.get $column) (i32.const 4)))
        (br $next)))
    (local.get $sum))

  ;; One row: sum of (k g[j] c[j])^2
  (func (export "row_update_squares")
    (param $g i32) (param $end i32) (param $c i32) (param $k f32) (result f64)
    (local $vk v128) (local $u v128) (local $a v128) (local $b v128) (local $x f32) (local $sum f64)
    (local.set $vk (f32x4.splat (local.get $k)))
    (block $done
      (loop $next
        (br_if $done (i32.gt_u (i32.add (local.get $g) (i32.const 16)) (local.get $end)))
        (local.set $u (f32x4.mul
          (f32x4.mul (local.get $vk) (v128.load (local.get $g)))
          (v128.load (local.get $c))))
        (local.set $u (f32x4.mul (local.get $u) (local.get $u)))
        (local.set $a (f64x2.add (local.get $a) (f64x2.promote_low_f32x4 (local.get $u))))
        (local.set $b (f64x2.add (local.get $b) (f64x2.promote_low_f32x4
          (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15
            (local.get $u) (local.get $u)))))
        (local.set $g (i32.add (local.get $g) (i32.const 16)))
        (local.set $c (i32.add (local.get $c) (i32.const 16)))
        (br $next)))
    (local.set $a (f64x2.add (local.get $a) (local.get $b)))
    (local.set $sum
      (f64.add (f64x2.extract_lane 0 (local.get $a)) (f64x2.extract_lane 1 (local.get $a))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $g) (local.get $end)))
        (local.set $x (f32.mul
          (f32.mul (local.get $k) (f32.load (local.get $g)))
          (f32.load (local.get $c))))
        (local.set $sum
          (f64.add (local.get $sum) (f64.promote_f32 (f32.mul (local.get $x) (local.get $x)))))
        (local.set $g (i32.add (local.get $g) (i32.const 4)))
        (local.set $c (i32.add (local.get $c) (i32.const 4)))
        (br $next)))
    (local.get $sum))

  ;; One row: p[j] = keep p[j] - rate (k g[j] c[j])
  (func (export "row_apply")
    (param $p i32) (param $end i32) (param $g i32) (param $c i32)
    (param $k f32) (param $rate f32) (param $keep f32)
    (local $vk v128) (local $vrate v128) (local $vkeep v128)
    (local.set $vk (f32x4.splat (local.get $k)))
    (local.set $vrate (f32x4.splat (local.get $rate)))
    (local.set $vkeep (f32x4.splat (local.get $keep)))
    (block $done
      (loop $next
        (br_if $done (i32.gt_u (i32.add (local.get $p) (i32.const 16)) (local.get $end)))
        (v128.store (local.get $p)
          (f32x4.sub
            (f32x4.mul (local.get $vkeep) (v128.load (local.get $p)))
            (f32x4.mul (local.get $vrate)
              (f32x4.mul
                (f32x4.mul (local.get $vk) (v128.load (local.get $g)))
                (v128.load (local.get $c))))))
        (local.set $p (i32.add (local.get $p) (i32.const 16)))
        (local.set $g (i32.add (local.get $g) (i32.const 16)))
        (local.set $c (i32.add (local.get $c) (i32.const 16)))
        (br $next)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $p) (local.get $end)))
        (f32.store (local.get $p)
          (f32.sub
            (f32.mul (local.get $keep) (f32.load (local.get $p)))
            (f32.mul (local.get $rate)
              (f32.mul
                (f32.mul (local.get $k) (f32.load (local.get $g)))
                (f32.load (local.get $c))))))
        (local.set $p (i32.add (local.get $p) (i32.const 4)))
        (local.set $g (i32.add (local.get $g) (i32.const 4)))
        (local.set $c (i32.add (local.get $c) (i32.const 4)))
        (br $next)))))
