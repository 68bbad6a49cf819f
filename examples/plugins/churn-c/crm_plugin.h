/* The scorer's half of the contract (crm-plugins/wit/v0_1/plugin.wit) as C sees it: how the canonical ABI lays
 * its types out in the memory of a 32-bit guest. */
#ifndef CRM_PLUGIN_H
#define CRM_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

/* A list: where it begins, and how many elements it has. */
typedef struct { const void *at; uint32_t length; } list;

enum cells_kind { FLOATS = 0, INTS = 1, BOOLEANS = 2, WORDS = 3 };

/* `values` is the list of doubles, int64_t or bytes; of words it is the codes, and `words` their texts. */
typedef struct { uint8_t kind; list values; list words; } cells;

/* `nulls` is empty, or one byte for each row, 1 where the cell is missing. */
typedef struct { cells cells; list nulls; } column;

/* result<list<column>, failure>: of a failure `columns` is its code. */
typedef struct { uint8_t failed; list columns; list message; } scored;

/* result<_, failure> */
typedef struct { uint8_t failed; list code; list message; } configured;

_Static_assert(sizeof(column) == 28 && offsetof(column, nulls) == 20, "the layout of a column");
_Static_assert(sizeof(scored) == 20 && offsetof(scored, columns) == 4, "the layout of an answer");

#define SCORER(function) __attribute__((export_name("crm:plugin/scorer@0.1.0#" #function)))
#define SCORER_AFTER(function) __attribute__((export_name("cabi_post_crm:plugin/scorer@0.1.0#" #function)))
#define ALLOCATOR __attribute__((export_name("cabi_realloc")))

#endif
