/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_PMML_PMML_PRIV_H
#define IG_FORMATS_PMML_PMML_PRIV_H

/* What the parts of the PMML reader share. Functions return false after they have set the reader's
 * error. Thread rule: one thread a reader. */

#include "base/map.h"
#include "base/vec.h"
#include "formats/pmml/pmml_xml.h"
#include "model/model.h"

enum { PMML_NODES_MAX = 1 << 28, PMML_FIELDS_MAX = 1 << 20 };

enum pmml_truth { PMML_FALSE, PMML_TRUE, PMML_UNKNOWN };

/* An input. */
struct pmml_field {
    struct ig_str name;
    bool categorical;
    bool is_float;         /* values are rounded to float before they are used */
    struct ig_str *values; /* categorical: text of code 0, 1, ... */
    uint32_t values_count;
    struct ig_map code_by_value; /* value: code + 1 as a pointer */
    struct ig_str replacement;   /* for missing values; ptr NULL: none */
    bool invalid_is_missing;     /* a category that is not among the values */
};

/* factor * field + constant. */
struct pmml_affine {
    struct ig_str field;
    double factor, constant;
    bool rounds; /* to float, on the way */
};

/* The question that leads to a node, on one field. It is asked as x < threshold or x <= threshold,
 * or by a set of codes. */
struct pmml_predicate {
    bool constant; /* always `value`, whatever the field */
    bool value;
    uint32_t field;
    bool true_left; /* numbers: true is where the comparison holds, or where not */
    bool rounds;    /* numbers: to float, and the threshold too, before they are compared */
    enum ig_node_op op;
    double threshold;
    const uint8_t *truths; /* categories: of each code */
    bool unseen;           /* of a category that is not among the values */
    enum pmml_truth missing;
};

/* What an earlier model of a chain gives under a name. */
struct pmml_output {
    const struct pmml_element *model;
    double factor, constant;
    const struct pmml_output *before; /* of the same name, by a model before; or NULL */
};

struct pmml_derived {
    const struct pmml_element *element, *expression; /* NULL: it has none */
    const struct pmml_element *other; /* another definition of the name, that differs; or NULL */
    bool resolved;
    struct pmml_affine affine; /* when it is */
};

struct pmml_reader {
    struct ig_err *err;
    struct ig_model *model;
    struct ig_arena *scratch;
    struct pmml_field *fields;
    uint32_t fields_count;
    struct ig_map field_by_name; /* value: index + 1 as a pointer */
    struct ig_map derived;       /* name to struct pmml_derived */
    struct ig_map outputs;       /* name to struct pmml_output */
    struct ig_str target;
    struct ig_str *classes; /* of the target, in the DataDictionary's order */
    uint32_t classes_count;
    struct ig_map class_by_name; /* value: index + 1 as a pointer */
    double *shares;              /* of each class, in the leaf in hand */
    bool counts_lack;            /* some node has no recordCount */
    bool vectors;                /* leaves hold a value for each output */
    bool f32;                    /* all is float: x-mathContext */
    size_t work_left; /* bytes of the document yet to be used: a chain may use some over and over */
    struct {
        struct ig_tree *items;
        size_t count, cap;
    } trees;
    struct {
        struct ig_node *items; /* a leaf's extra: its place among `values` */
        size_t count, cap;
    } nodes;
    struct {
        double *items;
        size_t count, cap;
    } values;
    struct {
        struct ig_category_set *items;
        size_t count, cap;
    } sets;
    struct pmml_children *children; /* of the node in hand; by pmml_tree.c */
    double *weights;                /* fields_count x outputs_count, feature-major */
    bool has_weights;
};

bool pmml_fail(struct pmml_reader *reader, const struct pmml_element *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool pmml_refuse(struct pmml_reader *reader, const struct pmml_element *at, const char *format, ...)
    __attribute__((format(printf, 3, 4))); /* UNSUPPORTED */
bool pmml_no_memory(struct pmml_reader *reader);
/* Counts the use of bytes of the document; false when it has been used too often. */
bool pmml_use(struct pmml_reader *reader, const struct pmml_element *element, size_t bytes);
/* The same for work on each of `count` values. */
bool pmml_use_values(struct pmml_reader *reader, const struct pmml_element *element,
                     uint64_t count);
/* False of absent text too. */
bool pmml_to_number(struct ig_str text, double *out);
/* A required or (with `otherwise`) optional number. */
bool pmml_number(struct pmml_reader *reader, const struct pmml_element *element, const char *name,
                 const double *otherwise, double *out);
/* That the attribute is absent, or one of up to four words. */
bool pmml_expect(struct pmml_reader *reader, const struct pmml_element *element, const char *name,
                 const char *const words[4]);

/* pmml_chain.c: the model that an element holds, which has no other. */
const struct pmml_element *pmml_model_in(struct pmml_reader *reader,
                                         const struct pmml_element *holder);
bool pmml_check_segment(struct pmml_reader *reader, const struct pmml_element *segment);
/* The last model of the chain, with the others' outputs read; NULL with the error set. */
const struct pmml_element *pmml_follow_chain(struct pmml_reader *reader,
                                             const struct pmml_element *model);
/* The output of the name by the last model that ends before `at`; NULL with the error set. */
const struct pmml_output *pmml_earlier_output(struct pmml_reader *reader, struct ig_str name,
                                              const struct pmml_element *at);

/* pmml_fields.c: the inputs, in the order of the top model's MiningSchema, and the target. */
bool pmml_read_fields(struct pmml_reader *reader, const struct pmml_element *root,
                      const struct pmml_element *model);
/* That an inner model's MiningSchema asks for nothing that the top one's has not done. */
bool pmml_check_schema(struct pmml_reader *reader, const struct pmml_element *model);
int32_t pmml_field_index(const struct pmml_reader *reader, struct ig_str name);  /* -1: none */
int32_t pmml_class_index(const struct pmml_reader *reader, struct ig_str value); /* -1: none */
/* -1: not among the field's values. */
int32_t pmml_field_code(const struct pmml_field *field, struct ig_str value);
/* What a name stands for, through derived fields: a field of the data or an output of a chain. */
bool pmml_resolve(struct pmml_reader *reader, const struct pmml_element *at, struct ig_str name,
                  struct pmml_affine *out);
/* An expression of one field: sums, differences, products and quotients with constants. */
bool pmml_expression(struct pmml_reader *reader, const struct pmml_element *expression,
                     struct pmml_affine *out);

/* pmml_predicate.c */
bool pmml_read_predicate(struct pmml_reader *reader, const struct pmml_element *element,
                         struct pmml_predicate *out);
/* Whether one of the predicates is true for every value that is not missing. */
bool pmml_exhaustive(const struct pmml_reader *reader, const struct pmml_predicate *predicates,
                     size_t count);

/* pmml_tree.c: adds a TreeModel's values times `factor` to an output, or a classification's
 * probabilities to all. */
bool pmml_add_tree(struct pmml_reader *reader, const struct pmml_element *tree, uint32_t output,
                   double factor);
/* A tree that adds value[i] where the field's code is codes[i]. */
bool pmml_add_effects(struct pmml_reader *reader, uint32_t field, const uint32_t *codes,
                      const double *values, uint32_t count, uint32_t output);

#endif
