/* SPDX-License-Identifier: Apache-2.0 */
/* Predicates on one field, as one split asks them.
 *
 * An atom is a SimplePredicate, a SimpleSetPredicate, True or False. A CompoundPredicate of atoms
 * on one field is tabulated: for every category, for an unseen one and for a missing one; of a
 * number at most one atom may compare, and the table has a row for either outcome. Three truth
 * values, as PMML's section "Compound Predicates" defines them. */
#include "formats/pmml/pmml_priv.h"

#include <math.h>
#include <string.h>

enum { ATOMS_MAX = 64 };

enum connective { AND, OR, SURROGATE };

struct atom {
    bool constant, value; /* True, False */
    bool asks_missing;    /* isMissing; isNotMissing when negated */
    bool negated;         /* notEqual, isNotIn, isNotMissing */
    bool compares;        /* numbers: the four orders */
    uint32_t field;
    enum ig_node_op op;
    bool true_left, rounds;
    double threshold;
    const uint8_t *members; /* categories: of each code */
};

struct reading {
    struct pmml_reader *reader;
    const struct pmml_element *element;
    enum connective connective;
    struct atom atoms[ATOMS_MAX];
    size_t count;
    uint32_t field; /* IG_MODEL_NONE: none asks one */
};

static bool read_order(struct reading *reading, const struct pmml_element *element,
                       struct ig_str word, struct atom *atom)
{
    struct pmml_reader *reader = reading->reader;
    bool equal = ig_str_is(word, "lessOrEqual") || ig_str_is(word, "greaterOrEqual");
    bool less = ig_str_is(word, "lessThan") || ig_str_is(word, "lessOrEqual");
    if (!less && !equal && !ig_str_is(word, "greaterThan"))
        return pmml_refuse(reader, element, "operator '%.*s' on a continuous field",
                           IG_STR_ARGS(word));
    atom->compares = true;
    atom->true_left = less;
    atom->op = less == equal ? IG_NODE_LE : IG_NODE_LT; /* greaterThan is not lessOrEqual */
    return pmml_number(reader, element, "value", NULL, &atom->threshold);
}

static uint8_t *members_room(struct reading *reading, const struct pmml_field *field)
{
    uint8_t *members = ig_arena_array(reading->reader->scratch, field->values_count + (size_t)1, 1);
    if (!members) pmml_no_memory(reading->reader);
    return members;
}

/* A value that is none of the field's is a member of nothing. */
static bool add_member(struct reading *reading, const struct pmml_field *field, uint8_t *members,
                       struct ig_str value)
{
    int32_t code = pmml_field_code(field, value);
    (void)reading;
    if (code >= 0) members[code] = 1;
    return true;
}

static bool find_field(struct reading *reading, const struct pmml_element *element,
                       struct atom *atom)
{
    struct pmml_reader *reader = reading->reader;
    struct pmml_affine at;
    if (!pmml_resolve(reader, element, pmml_xml_get(element, "field"), &at)) return false;
    int32_t field = pmml_field_index(reader, at.field);
    if (field < 0 || at.factor != 1 || at.constant != 0)
        return pmml_refuse(reader, element, "'%.*s', which is computed",
                           IG_STR_ARGS(pmml_xml_get(element, "field")));
    atom->field = (uint32_t)field;
    atom->rounds = at.rounds || reader->fields[field].is_float;
    if (reading->field != IG_MODEL_NONE && reading->field != atom->field)
        return pmml_refuse(reader, reading->element, "a compound of several fields");
    reading->field = atom->field;
    return true;
}

static bool read_simple(struct reading *reading, const struct pmml_element *element,
                        struct atom *atom)
{
    struct ig_str word = pmml_xml_get(element, "operator");
    if (!find_field(reading, element, atom)) return false;
    const struct pmml_field *field = &reading->reader->fields[atom->field];
    atom->negated = ig_str_is(word, "notEqual") || ig_str_is(word, "isNotMissing");
    atom->asks_missing = ig_str_is(word, "isMissing") || ig_str_is(word, "isNotMissing");
    if (atom->asks_missing) return true;
    if (!field->categorical) return read_order(reading, element, word, atom);
    if (!atom->negated && !ig_str_is(word, "equal"))
        return pmml_refuse(reading->reader, element, "operator '%.*s' on a categorical field",
                           IG_STR_ARGS(word));
    uint8_t *members = members_room(reading, field);
    atom->members = members;
    return members && add_member(reading, field, members, pmml_xml_get(element, "value"));
}

/* The words of an Array of strings: parted by spaces, or in quotes in which \" stands for one. */
static bool read_array(struct reading *reading, const struct pmml_element *array,
                       const struct pmml_field *field, uint8_t *members)
{
    struct ig_str rest = array->text;
    char *word = ig_arena_alloc(reading->reader->scratch, rest.len + 1);
    if (!word) return pmml_no_memory(reading->reader);
    while ((rest = ig_str_trim(rest)).len > 0) {
        bool quoted = *rest.ptr == '"';
        size_t at = quoted, length = 0;
        while (at < rest.len && (quoted ? rest.ptr[at] != '"' : !strchr(" \t\r\n", rest.ptr[at]))) {
            if (rest.ptr[at] == '\\' && at + 1 < rest.len && rest.ptr[at + 1] == '"') at++;
            word[length++] = rest.ptr[at++];
        }
        if (quoted && at == rest.len)
            return pmml_fail(reading->reader, array, "a quote is not closed");
        at += quoted;
        if (!add_member(reading, field, members, (struct ig_str){word, length})) return false;
        rest = (struct ig_str){rest.ptr + at, rest.len - at};
    }
    return true;
}

static bool read_set(struct reading *reading, const struct pmml_element *element, struct atom *atom)
{
    struct ig_str word = pmml_xml_get(element, "booleanOperator");
    const struct pmml_element *array = pmml_xml_child(element, "Array");
    if (!find_field(reading, element, atom)) return false;
    const struct pmml_field *field = &reading->reader->fields[atom->field];
    atom->negated = ig_str_is(word, "isNotIn");
    if (!array || (!atom->negated && !ig_str_is(word, "isIn")))
        return pmml_fail(reading->reader, element, "expected an Array and isIn or isNotIn");
    if (!field->categorical)
        return pmml_refuse(reading->reader, element, "a set of a continuous field");
    uint8_t *members = members_room(reading, field);
    atom->members = members;
    return members && read_array(reading, array, field, members);
}

static bool read_atom(struct reading *reading, const struct pmml_element *element)
{
    struct atom *atom = &reading->atoms[reading->count++];
    *atom = (struct atom){0};
    if (pmml_xml_is(element, "SimplePredicate")) return read_simple(reading, element, atom);
    if (pmml_xml_is(element, "SimpleSetPredicate")) return read_set(reading, element, atom);
    atom->constant = true;
    atom->value = pmml_xml_is(element, "True");
    if (atom->value || pmml_xml_is(element, "False")) return true;
    return pmml_refuse(reading->reader, element, "this predicate here");
}

static bool read_compound(struct reading *reading, const struct pmml_element *element)
{
    struct ig_str word = pmml_xml_get(element, "booleanOperator");
    if (ig_str_is(word, "and"))
        reading->connective = AND;
    else if (ig_str_is(word, "or"))
        reading->connective = OR;
    else if (ig_str_is(word, "surrogate"))
        reading->connective = SURROGATE;
    else
        return pmml_refuse(reading->reader, element, "booleanOperator '%.*s'", IG_STR_ARGS(word));
    for (const struct pmml_element *i = element->first; i; i = i->next) {
        if (pmml_xml_is(i, "Extension")) continue;
        if (reading->count == ATOMS_MAX)
            return pmml_refuse(reading->reader, element, "more than %d predicates", ATOMS_MAX);
        if (!read_atom(reading, i)) return false;
    }
    return reading->count || pmml_fail(reading->reader, element, "has no predicates");
}

/* What is asked about: a category, a comparison with a known outcome, or a missing value. */
struct subject {
    bool missing, comparison;
    int32_t code; /* -1: unseen */
};

static enum pmml_truth of_atom(const struct atom *atom, const struct subject *subject)
{
    if (atom->constant) return atom->value ? PMML_TRUE : PMML_FALSE;
    if (atom->asks_missing) return subject->missing != atom->negated ? PMML_TRUE : PMML_FALSE;
    if (subject->missing) return PMML_UNKNOWN;
    bool is = atom->compares ? subject->comparison
                             : atom->members && subject->code >= 0 && atom->members[subject->code];
    return is != atom->negated ? PMML_TRUE : PMML_FALSE;
}

static enum pmml_truth of_all(const struct reading *reading, const struct subject *subject)
{
    bool unknown = false;
    for (size_t i = 0; i < reading->count; i++) {
        enum pmml_truth truth = of_atom(&reading->atoms[i], subject);
        unknown = unknown || truth == PMML_UNKNOWN;
        if (truth == PMML_UNKNOWN) continue;
        if (reading->connective == SURROGATE) return truth;
        if ((truth == PMML_TRUE) == (reading->connective == OR)) return truth;
    }
    if (unknown) return PMML_UNKNOWN;
    return reading->connective == AND ? PMML_TRUE : PMML_FALSE;
}

static double rounded(double x, bool rounds)
{
    return rounds ? (double)(float)x : x;
}

static bool holds(const struct atom *atom, double x)
{
    double threshold = rounded(atom->threshold, atom->rounds);
    x = rounded(x, atom->rounds);
    bool left = atom->op == IG_NODE_LE ? x <= threshold : x < threshold;
    return left == atom->true_left;
}

/* What becomes of a missing value: the predicate of its replacement, where there is one. */
static enum pmml_truth of_missing(const struct reading *reading, const struct pmml_field *field,
                                  const struct atom *order)
{
    struct subject subject = {.missing = !field->replacement.ptr, .code = -1};
    double number = 0;
    if (field->replacement.ptr && field->categorical)
        subject.code = pmml_field_code(field, field->replacement);
    else if (field->replacement.ptr && order && pmml_to_number(field->replacement, &number))
        subject.comparison = holds(order, number);
    return of_all(reading, &subject);
}

static bool settle_categories(struct reading *reading, struct pmml_predicate *out)
{
    const struct pmml_field *field = &reading->reader->fields[reading->field];
    uint64_t work = field->values_count * ((uint64_t)reading->count + 2); /* and the sets made */
    uint8_t *truths = members_room(reading, field);
    if (!truths || !pmml_use_values(reading->reader, reading->element, work)) return false;
    for (uint32_t i = 0; i < field->values_count; i++)
        truths[i] = of_all(reading, &(struct subject){.code = (int32_t)i}) == PMML_TRUE;
    out->truths = truths;
    out->missing = of_missing(reading, field, NULL);
    out->unseen = of_all(reading, &(struct subject){.code = -1}) == PMML_TRUE;
    return true;
}

static bool settle_number(struct reading *reading, struct pmml_predicate *out)
{
    const struct pmml_field *field = &reading->reader->fields[reading->field];
    const struct atom *order = NULL;
    for (size_t i = 0; i < reading->count; i++) {
        if (!reading->atoms[i].compares) continue;
        if (order)
            return pmml_refuse(reading->reader, reading->element, "more than one comparison");
        order = &reading->atoms[i];
    }
    bool yes = of_all(reading, &(struct subject){.comparison = true}) == PMML_TRUE;
    bool no = of_all(reading, &(struct subject){.comparison = false}) == PMML_TRUE;
    out->missing = of_missing(reading, field, order);
    out->true_left = order ? order->true_left : false;
    out->rounds = order ? order->rounds : field->is_float;
    out->op = order ? order->op : IG_NODE_LT;
    out->threshold = order ? order->threshold : -INFINITY;
    if (yes == no) { /* only whether it is missing matters; no number is below -infinity */
        out->op = IG_NODE_LT;
        out->threshold = -INFINITY;
        out->true_left = !yes;
    }
    return true;
}

bool pmml_read_predicate(struct pmml_reader *reader, const struct pmml_element *element,
                         struct pmml_predicate *out)
{
    struct reading reading = {.reader = reader, .element = element, .field = IG_MODEL_NONE};
    bool compound = pmml_xml_is(element, "CompoundPredicate");
    if (!(compound ? read_compound(&reading, element) : read_atom(&reading, element))) return false;
    *out = (struct pmml_predicate){.field = reading.field};
    out->constant = reading.field == IG_MODEL_NONE;
    if (out->constant) {
        out->value = of_all(&reading, &(struct subject){0}) == PMML_TRUE;
        return true;
    }
    return reader->fields[reading.field].categorical ? settle_categories(&reading, out)
                                                     : settle_number(&reading, out);
}

static bool covers_categories(const struct pmml_field *field,
                              const struct pmml_predicate *predicates, size_t count)
{
    for (uint32_t code = 0; code < field->values_count; code++) {
        bool covered = false;
        for (size_t i = 0; i < count; i++) covered = covered || predicates[i].truths[code];
        if (!covered) return false;
    }
    return true;
}

/* Whether no number is both beyond `low`, which is true up to its threshold, and before `high`,
 * which is true from its own on. One that rounds and one that does not have to overlap. */
static bool meets(const struct pmml_predicate *low, const struct pmml_predicate *high)
{
    bool either = low->rounds || high->rounds;
    double end = rounded(low->threshold, either), start = rounded(high->threshold, either);
    return end > start || (end == start && low->rounds == high->rounds &&
                           (low->op == IG_NODE_LE || high->op == IG_NODE_LT));
}

/* By the one that is true up to the greatest threshold and the one from the least, of those that
 * round and of those that do not. */
static bool covers_numbers(const struct pmml_predicate *predicates, size_t count)
{
    const struct pmml_predicate *lows[2] = {NULL}, *highs[2] = {NULL};
    for (size_t i = 0; i < count; i++) {
        const struct pmml_predicate *own = &predicates[i];
        const struct pmml_predicate **side = &(own->true_left ? lows : highs)[own->rounds];
        double more = *side ? own->threshold - (*side)->threshold : 0;
        bool includes = own->true_left == (own->op == IG_NODE_LE); /* the threshold itself */
        if (!*side || (own->true_left ? more > 0 : more < 0) || (more == 0 && includes))
            *side = own;
    }
    for (int i = 0; i < 4; i++)
        if (lows[i / 2] && highs[i % 2] && meets(lows[i / 2], highs[i % 2])) return true;
    return false;
}

bool pmml_exhaustive(const struct pmml_reader *reader, const struct pmml_predicate *predicates,
                     size_t count)
{
    const struct pmml_field *field = &reader->fields[predicates[0].field];
    for (size_t i = 0; i < count; i++)
        if (predicates[i].constant || predicates[i].field != predicates[0].field) return false;
    return field->categorical ? covers_categories(field, predicates, count)
                              : covers_numbers(predicates, count);
}
