;; A scorer that says as the score of the first row what it was told: the instant, plus the upper half of the seed, plus the
;; currency's first three bytes as a number.
(module
    (@custom "crm:manifest" "{\"api\":\"0.1\",\"name\":\"telling\",\"version\":\"1\",\"outputs\":[{\"name\":\"told\",\"kind\":\"float\"}]}")
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 4096))
    (data (i32.const 64) "\00\00\00\00\4c\00\00\00\01\00\00\00\00\00\00\00\68\00\00\00\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
        (global.set $next (i32.add (local.get $at) (local.get 3)))
        (local.get $at))
    (func (export "crm:plugin/scorer@0.1.0#configure") (param i32 i32) (result i32) (i32.const 16))
    ;; An entry has 24 bytes: the name, its length, the kind of the value, and at 16 the value.
    (func (export "crm:plugin/scorer@0.1.0#score") (param $rows i32) (param $context i32) (param $entries i32) (param i32 i32) (result i32)
        (if (i32.ne (local.get $entries) (i32.const 3)) (then (unreachable)))
        (f64.store (i32.const 104) (f64.convert_i64_s (i64.add
            (i64.load offset=16 (local.get $context))
            (i64.add
                (i64.shr_u (i64.load offset=40 (local.get $context)) (i64.const 32))
                (i64.extend_i32_u (i32.and
                    (i32.load (i32.load offset=64 (local.get $context)))
                    (i32.const 0xffffff)))))))
        (i32.const 64)))
