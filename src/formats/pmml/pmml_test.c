/* SPDX-License-Identifier: Apache-2.0 */
/* What JPMML answers is in tests/golden/pmml; here: the shape of trees, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/format.h"

#include <stdio.h>
#include <string.h>

#define DOCUMENT(field, model)                                                                     \
    "<PMML version='4.4'><DataDictionary>" field                                                   \
    "<DataField name='y' optype='categorical' dataType='string'><Value value='no'/>"               \
    "<Value value='yes'/></DataField></DataDictionary>" model "</PMML>"
#define NUMBER "<DataField name='x' optype='continuous' dataType='double'/>"
#define COLOUR                                                                                     \
    "<DataField name='x' optype='categorical' dataType='string'><Value value='red'/>"              \
    "<Value value='blue'/></DataField>"
#define SCHEMA(attributes)                                                                         \
    "<MiningSchema><MiningField name='x'" attributes                                               \
    "/><MiningField name='y' usageType='target'/>"                                                 \
    "</MiningSchema>"
#define TREE(attributes, nodes)                                                                    \
    "<TreeModel functionName='regression' " attributes                                             \
    ">" SCHEMA("") "<Node score='9'><True/>" nodes "</Node></TreeModel>"
#define NODE(score, predicate) "<Node score='" score "'>" predicate "</Node>"
#define ASKS(operator, value)                                                                      \
    "<SimplePredicate field='x' operator='" operator"' value='" value "'/>"
#define NUMBERS(nodes) DOCUMENT(NUMBER, TREE("", nodes))
#define TABLE(attributes, content)                                                                 \
    "<RegressionModel functionName='regression' " attributes                                       \
    ">" SCHEMA("") "<RegressionTable intercept='1'>" content                                       \
                   "</RegressionTable></RegressionModel>"
#define CHAIN(segments)                                                                            \
    "<MiningModel functionName='regression'>" SCHEMA(                                              \
        "") "<Segmentation multipleModelMethod='modelChain'>" segments                             \
            "</Segmentation></MiningModel>"
#define SEGMENT(model) "<Segment><True/>" model "</Segment>"

#define SUM(segments)                                                                              \
    "<MiningModel functionName='regression'>" SCHEMA(                                              \
        "") "<Segmentation multipleModelMethod='sum'>" segments "</Segmentation></MiningModel>"
#define CLASSES_OF(segments)                                                                       \
    "<MiningModel functionName='classification'>" SCHEMA(                                          \
        "") "<Segmentation multipleModelMethod='average'>" segments                                \
            "</Segmentation></MiningModel>"
#define DERIVED_TABLE(factor)                                                                      \
    "<RegressionModel functionName='regression'>" SCHEMA(                                          \
        "") "<LocalTransformations><DerivedField name='d' optype='continuous' dataType='double'>"  \
            "<Apply function='*'><FieldRef field='x'/><Constant>" factor                           \
            "</Constant></Apply></DerivedField></LocalTransformations><RegressionTable>"           \
            "<NumericPredictor name='d' coefficient='1'/></RegressionTable></RegressionModel>"

static enum ig_code load(struct ig_model **out, const char *xml, struct ig_err *err)
{
    *err = IG_ERR_INIT;
    *out = NULL;
    return ig_pmml_load(out, ig_str_view(xml), err);
}

static struct ig_model *must_load(const char *xml)
{
    struct ig_err err;
    struct ig_model *model;
    assert_true(ig_pmml_probe(ig_str_view(xml)));
    if (load(&model, xml, &err) != IG_OK) fail_msg("%s: %s", xml, err.message);
    return model;
}

/* Complementary children are one split; missing values have no prediction, so x is required. */
static void test_complementary_children(void **state)
{
    (void)state;
    struct ig_model *model =
        must_load(NUMBERS(NODE("1", ASKS("lessOrEqual", "3")) NODE("2", ASKS("greaterThan", "3"))));
    assert_int_equal(model->nodes_count, 3);
    assert_true(model->nodes[0].op == IG_NODE_LE && model->nodes[0].value == 3);
    assert_true(model->nodes[model->nodes[0].left].value == 1);
    assert_true(model->nodes[model->nodes[0].right].value == 2);
    assert_true(model->inputs[0].required && model->covers_counted);
    ig_model_free(model);
    model = must_load(DOCUMENT(NUMBER, TREE("noTrueChildStrategy='returnLastPrediction'",
                                            NODE("1", ASKS("lessThan", "3")))));
    assert_int_equal(model->nodes_count, 3);
    assert_true(model->nodes[0].op == IG_NODE_LT &&
                !(model->nodes[0].flags & IG_NODE_DEFAULT_LEFT));
    assert_true(model->nodes[model->nodes[0].right].value == 9 && !model->inputs[0].required);
    ig_model_free(model);
}

/* A category that is none of the field's has no child of its own: it takes the last. */
static void test_unlisted_category_takes_the_last_child(void **state)
{
    (void)state;
    struct ig_model *model = must_load(DOCUMENT(
        COLOUR, TREE("", NODE("1", ASKS("equal", "red")) NODE("2", ASKS("equal", "blue")))));
    const struct ig_node *root = &model->nodes[0];
    assert_true(model->nodes_count == 3 && root->op == IG_NODE_IN);
    assert_true(root->flags & IG_NODE_SET_LEFT); /* members, "red" alone, go left */
    assert_int_equal(model->sets[root->extra].words[0], 1);
    assert_true(model->nodes[root->right].value == 2);
    ig_model_free(model);
}

static void test_counts_and_float(void **state)
{
    (void)state;
    struct ig_model *model = must_load(
        "<PMML version='4.3'><DataDictionary><DataField name='x' optype='continuous' "
        "dataType='float'/></DataDictionary><TreeModel functionName='regression' "
        "noTrueChildStrategy='returnLastPrediction'>" SCHEMA(
            "") "<Node recordCount='10' score='1'><True/><Node score='2' "
                "recordCount='7'>" ASKS("lessThan", "0.1") "</Node></Node></TreeModel></PMML>");
    const struct ig_node *root = &model->nodes[0];
    assert_true(root->cover == 10 && model->nodes[root->left].cover == 7);
    assert_false(model->covers_counted);
    /* below 0.1F, in floats */
    double below = (double)0.1F - 0x1p-28;
    assert_true(root->value < (double)0.1F && root->value > below - 0x1p-28);
    ig_model_free(model);
}

#define ROUNDED                                                                                    \
    "<TransformationDictionary><DerivedField name='f' optype='continuous' dataType='float'>"       \
    "<FieldRef field='x'/></DerivedField></TransformationDictionary>"
#define ASKS_ROUNDED(operator, value)                                                              \
    "<SimplePredicate field='f' operator='" operator"' value='" value "'/>"

/* Only what asks for the field's rounding to float compares so. */
static void test_rounding_is_the_predicates_own(void **state)
{
    (void)state;
    struct ig_model *model =
        must_load(DOCUMENT(NUMBER, ROUNDED TREE("noTrueChildStrategy='returnLastPrediction'",
                                                NODE("1", ASKS_ROUNDED("lessThan", "0.1"))
                                                    NODE("2", ASKS("lessThan", "0.3")))));
    const struct ig_node *rounded = &model->nodes[0], *plain = &model->nodes[rounded->right];
    if (plain->op == IG_NODE_LEAF) plain = &model->nodes[rounded->left];
    assert_true(rounded->value < (double)0.1F && rounded->value > 0.0999999);
    assert_true(plain->op == IG_NODE_LT && plain->value == 0.3);
    ig_model_free(model);
    /* A missing value's replacement is rounded as well: in floats 0.1 is below what follows. */
    model = must_load(DOCUMENT(NUMBER, ROUNDED
                               "<TreeModel functionName='regression' "
                               "noTrueChildStrategy='returnLastPrediction'>" SCHEMA(
                                   " missingValueReplacement='0."
                                   "1'") "<Node "
                                         "score='9'><True/>" NODE("1", ASKS_ROUNDED("lessOrEqua"
                                                                                    "l",
                                                                                    "0."
                                                                                    "0999999999"
                                                                                    "9")) "</"
                                                                                          "Node"
                                                                                          "></"
                                                                                          "Tree"
                                                                                          "Mode"
                                                                                          "l"
                                                                                          ">"));
    assert_true(model->nodes[0].flags & IG_NODE_DEFAULT_LEFT);
    ig_model_free(model);
}

static void test_classes(void **state)
{
    (void)state;
    struct ig_model *model = must_load(DOCUMENT(
        NUMBER,
        "<RegressionModel functionName='classification' normalizationMethod='logit'>" SCHEMA(
            "") "<RegressionTable intercept='2' targetCategory='no'><NumericPredictor "
                "name='x' coefficient='3'/></RegressionTable><RegressionTable "
                "intercept='0' targetCategory='yes'/></RegressionModel>"));
    assert_true(model->kind == IG_MODEL_LINEAR && model->outputs_count == 1);
    assert_true(model->base_margin[0] == -2 && model->weights[0] == -3); /* of 'yes' */
    assert_true(ig_str_is(model->classes[1], "yes") && ig_str_is(model->objective, "binary"));
    ig_model_free(model);
}

static void test_chain(void **state)
{
    (void)state;
    struct ig_model *model = must_load(DOCUMENT(
        NUMBER,
        CHAIN(SEGMENT("<TreeModel functionName='regression'>" SCHEMA(
            "") "<Output><OutputField name='v'/><OutputField name='w' feature='transformedValue'>"
                "<Apply function='-'><Constant>5</Constant><FieldRef field='v'/></Apply>"
                "</OutputField></Output><Node score='4'><True/></Node></TreeModel>")
                  SEGMENT(TABLE("normalizationMethod='exp'",
                                "<NumericPredictor name='w' coefficient='2'/>")))));
    assert_int_equal(model->transform, IG_TRANSFORM_EXP);
    assert_true(model->base_margin[0] == 11 && model->nodes[0].value == -8); /* 1 + 2 (5 - 4) */
    ig_model_free(model);
}

/* Segments may each define a field anew, as long as they mean the same. */
static void test_equal_definitions(void **state)
{
    (void)state;
    struct ig_model *model =
        must_load(DOCUMENT(NUMBER, SUM(SEGMENT(DERIVED_TABLE("2")) SEGMENT(DERIVED_TABLE("2")))));
    assert_true(model->kind == IG_MODEL_LINEAR && model->weights[0] == 4);
    ig_model_free(model);
}

/* A regression before a classification in a chain gives it a number: that is no mixture. */
static void test_regression_feeds_classification(void **state)
{
    (void)state;
    struct ig_model *model = must_load(DOCUMENT(
        NUMBER, "<MiningModel functionName='classification'>" SCHEMA(
                    "") "<Segmentation "
                        "multipleModelMethod='modelChain'"
                        ">" SEGMENT("<MiningModel "
                                    "functionName='regression'"
                                    ">" SCHEMA("") "<Output><OutputField "
                                                   "name='v'/></"
                                                   "Output><Segmentation "
                                                   "multipleModelMethod='"
                                                   "sum'>" SEGMENT(TABLE("", "<NumericPredictor"
                                                                             " name='x' "
                                                                             "coefficient='3'/"
                                                                             ">")) "</"
                                                                                   "Segmentatio"
                                                                                   "n></"
                                                                                   "MiningModel"
                                                                                   ">")
                            SEGMENT("<RegressionModel "
                                    "functionName='"
                                    "classification' "
                                    "normalizationMethod='"
                                    "logit'>" SCHEMA("") "<RegressionTa"
                                                         "ble "
                                                         "intercept='2'"
                                                         " targetCatego"
                                                         "ry='yes'>"
                                                         "<NumericPredi"
                                                         "ctor "
                                                         "name='v' "
                                                         "coefficient='"
                                                         "1'/></"
                                                         "RegressionTab"
                                                         "le>"
                                                         "<RegressionTa"
                                                         "ble "
                                                         "targetCategor"
                                                         "y='no'/></"
                                                         "RegressionMod"
                                                         "el>") "</"
                                                                "Segmen"
                                                                "tation"
                                                                "></"
                                                                "Mining"
                                                                "Model"
                                                                ">"));
    assert_int_equal(model->transform, IG_TRANSFORM_SIGMOID);
    assert_true(model->base_margin[0] == 3 && model->weights[0] == 3);
    ig_model_free(model);
}

#define SUM_WITH(top, inner)                                                                       \
    "<MiningModel functionName='regression'>" SCHEMA(                                              \
        top) "<Segmentation "                                                                      \
             "multipleModelMethod='sum'>" SEGMENT(                                                 \
                 "<TreeModel "                                                                     \
                 "functionName='regression' "                                                      \
                 "noTrueChildStrategy='"                                                           \
                 "returnLastPrediction'>" SCHEMA(inner) "<Node score='9'><True/>" NODE(            \
                     "1", ASKS("lessThan", "3")) "</Node></"                                       \
                                                 "TreeModel>") "</"                                \
                                                               "Segme"                             \
                                                               "ntati"                             \
                                                               "on></"                             \
                                                               "Minin"                             \
                                                               "gMode"                             \
                                                               "l>"

/* What the inner schema says anew has to be what the top one has done already. */
static void test_inner_schemas(void **state)
{
    static const char *const same[] = {
        DOCUMENT(NUMBER, SUM_WITH(" missingValueReplacement='1'", "")),
        DOCUMENT(NUMBER,
                 SUM_WITH(" missingValueReplacement='1'", " missingValueReplacement='1.0'")),
        DOCUMENT(NUMBER, SUM_WITH("", " invalidValueTreatment='asIs' outliers='asIs'")),
        DOCUMENT(NUMBER, SUM_WITH(" invalidValueTreatment='asMissing'",
                                  " invalidValueTreatment='asMissing'")),
        DOCUMENT(NUMBER, SUM_WITH("", " usageType='supplementary' missingValueReplacement='1'")),
    };
    (void)state;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) ig_model_free(must_load(same[i]));
}

static const struct {
    const char *xml, *message;
} refused[] = {
    {"<PMML", "line 1: "},
    {"<PMLL/>", "PMLL: expected PMML"},
    {"<PMML version='2.0'/>", "version '2.0' is not supported"},
    {"<PMML version='4.4'/>", "PMML: has no TreeModel"},
    {"<PMML version='4.4'><NeuralNetwork/></PMML>", "NeuralNetwork: this kind of model is not"},
    {"<PMML version='4.4'><TreeModel/></PMML>", "MiningSchema: 0 fields"},
    {DOCUMENT("", TREE("", "")), "'x' is not in the DataDictionary"},
    {DOCUMENT("<DataField name='x' optype='continuous' dataType='dateTime'/>", TREE("", "")),
     "dataType 'dateTime' of a continuous field is not supported"},
    {DOCUMENT("<DataField name='x' optype='categorical' dataType='string'/>", TREE("", "")),
     "a categorical field without its Values"},
    {DOCUMENT("<DataField name='x' optype='continuous' dataType='double'>"
              "<Value value='-999' property='missing'/></DataField>",
              TREE("", "")),
     "the value -999, which means missing"},
    {NUMBERS(NODE("1", ASKS("equal", "3"))), "operator 'equal' on a continuous field"},
    {NUMBERS(NODE("1", ASKS("lessThan", "three"))), "value 'three', expected a number"},
    {NUMBERS(NODE("x", ASKS("lessThan", "3")) NODE("1", ASKS("greaterOrEqual", "3"))),
     "score 'x', expected a number"},
    {NUMBERS(NODE("1", ASKS("lessThan", "3"))), "none of whose children need be true"},
    {NUMBERS(NODE("1", ASKS("lessThan", "3")) NODE("2", ASKS("greaterThan", "3"))),
     "none of whose children need be true"},
    /* a double between 0.1 and its float is neither below the one nor from the other on */
    {DOCUMENT(NUMBER, ROUNDED TREE("", NODE("1", ASKS_ROUNDED("lessThan", "0.1"))
                                           NODE("2", ASKS("greaterOrEqual", "0.1")))),
     "none of whose children need be true"},
    {NUMBERS("<Node score='1'/>"), "Node: has no predicate"},
    {NUMBERS(NODE("1", "<SimplePredicate field='z' operator='lessThan' value='3'/>")),
     "'z' is neither an input nor derived from one"},
    {NUMBERS(NODE("1", "<CompoundPredicate booleanOperator='xor'/>")), "booleanOperator 'xor'"},
    {NUMBERS(NODE("1", "<CompoundPredicate booleanOperator='and'>" ASKS("lessThan", "3")
                           ASKS("greaterThan", "1") "</CompoundPredicate>")),
     "CompoundPredicate: more than one comparison"},
    {DOCUMENT(NUMBER, TREE("missingValueStrategy='weightedConfidence'", "")),
     "missingValueStrategy 'weightedConfidence' is not supported"},
    {DOCUMENT(COLOUR, TREE("", NODE("1", ASKS("lessThan", "red")))),
     "operator 'lessThan' on a categorical field"},
    {DOCUMENT(COLOUR, TABLE("", "<NumericPredictor name='x' coefficient='1'/>")),
     "a categorical field as a number"},
    {DOCUMENT(COLOUR, TABLE("", "<CategoricalPredictor name='x' value='pink' coefficient='1'/>")),
     "a value that is not the field's"},
    {DOCUMENT(NUMBER, TABLE("normalizationMethod='cauchit'", "")), "'cauchit' is not supported"},
    {DOCUMENT(NUMBER, TABLE("", "<PredictorTerm coefficient='1'/>")), "PredictorTerm: this part"},
    {DOCUMENT(NUMBER, TABLE("", "<NumericPredictor name='x' exponent='2' coefficient='1'/>")),
     "an exponent other than 1"},
    {DOCUMENT(NUMBER, "<MiningModel functionName='regression'>" SCHEMA(
                          "") "<Segmentation multipleModelMethod='majorityVote'/></MiningModel>"),
     "multipleModelMethod 'majorityVote' is not supported"},
    {DOCUMENT(NUMBER, "<MiningModel functionName='regression'>" SCHEMA("") "<Segmentation>" SEGMENT(
                          TABLE("", "")) "</Segmentation></MiningModel>"),
     "Segmentation: multipleModelMethod is missing"},
    /* numbers within a classification */
    {DOCUMENT(NUMBER,
              CLASSES_OF(SEGMENT(TABLE("", "<NumericPredictor name='x' coefficient='1'/>")))),
     "RegressionModel: functionName 'regression' within a classification is not supported"},
    {DOCUMENT(NUMBER, CLASSES_OF(SEGMENT(SUM(SEGMENT(TREE("", "")))))),
     "MiningModel: functionName 'regression' within a classification is not supported"},
    {DOCUMENT(NUMBER, CLASSES_OF(SEGMENT(TREE("", "")))),
     "a tree whose functionName is not the model's"},
    {DOCUMENT(NUMBER, SUM(SEGMENT(CLASSES_OF(SEGMENT(TREE("", "")))))),
     "MiningModel: functionName 'classification' within a regression is not supported"},
    {DOCUMENT(NUMBER, CHAIN("<Segment>" ASKS("lessThan", "3") TABLE("", "") "</Segment>")),
     "Segment: a predicate other than True"},
    {DOCUMENT(NUMBER, "<TransformationDictionary><DerivedField name='d'><FieldRef field='d'/>"
                      "</DerivedField></TransformationDictionary>" TABLE(
                          "", "<NumericPredictor name='d' coefficient='1'/>")),
     "is derived in more than 256 steps"},
    {DOCUMENT(NUMBER, SUM_WITH("", " missingValueReplacement='1'")),
     "MiningField: missingValueReplacement '1' of 'x', unlike the top MiningSchema, is not"},
    {DOCUMENT(NUMBER, SUM_WITH(" missingValueReplacement='1'", " missingValueReplacement='2'")),
     "MiningField: missingValueReplacement '2' of 'x', unlike the top MiningSchema, is not"},
    {DOCUMENT(NUMBER, SUM_WITH("", " invalidValueTreatment='asMissing'")),
     "MiningField: invalidValueTreatment 'asMissing' of 'x', unlike the top MiningSchema, is not"},
    {DOCUMENT(NUMBER, SUM_WITH("", " outliers='asExtremeValues'")),
     "MiningField: outliers 'asExtremeValues' is not supported"},
    {DOCUMENT(NUMBER, CHAIN(SEGMENT("<RegressionModel functionName='regression'><MiningSchema>"
                                    "<MiningField name='x' missingValueReplacement='5'/>"
                                    "</MiningSchema><RegressionTable><NumericPredictor name='x' "
                                    "coefficient='1'/></RegressionTable></RegressionModel>"))),
     "MiningField: missingValueReplacement '5' of 'x', unlike"},
    /* one name, two meanings in two segments */
    {DOCUMENT(NUMBER, SUM(SEGMENT(DERIVED_TABLE("2")) SEGMENT(DERIVED_TABLE("3")))),
     "NumericPredictor: 'd' is defined differently at lines 1 and 1, which is not supported"},
    {DOCUMENT(NUMBER, "<TransformationDictionary><DerivedField name='d'><Apply function='log'>"
                      "<FieldRef field='x'/><Constant>1</Constant></Apply></DerivedField>"
                      "</TransformationDictionary>" TABLE(
                          "", "<NumericPredictor name='d' coefficient='1'/>")),
     "function 'log' is not supported"},
    /* a model that is a part of itself */
    {DOCUMENT(NUMBER,
              CHAIN(SEGMENT("<RegressionModel functionName='regression'>" SCHEMA(
                  "") "<Output><OutputField name='v'/></Output><RegressionTable>"
                      "<NumericPredictor name='v' coefficient='1'/></RegressionTable>"
                      "</RegressionModel>")
                        SEGMENT(TABLE("", "<NumericPredictor name='v' coefficient='1'/>")))),
     "NumericPredictor: 'v' is an output, but of no earlier model"},
    /* and one that takes from a later one */
    {DOCUMENT(NUMBER,
              CHAIN(SEGMENT("<RegressionModel functionName='regression'>" SCHEMA(
                  "") "<Output><OutputField name='u'/></Output><RegressionTable>"
                      "<NumericPredictor name='v' coefficient='1'/></RegressionTable>"
                      "</RegressionModel>")
                        SEGMENT("<TreeModel functionName='regression'>" SCHEMA(
                            "") "<Output><OutputField name='v'/></Output><Node score='4'><True/>"
                                "</Node></TreeModel>")
                            SEGMENT(TABLE("", "<NumericPredictor name='u' coefficient='1'/>")))),
     "NumericPredictor: 'v' is an output, but of no earlier model"},
};

static void test_refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct ig_err err;
        struct ig_model *model;
        enum ig_code code = load(&model, refused[i].xml, &err);
        if (code == IG_OK || !strstr(err.message, refused[i].message))
            fail_msg("%s:\n%d '%s', expected '%s'", refused[i].xml, code, err.message,
                     refused[i].message);
        assert_null(model);
    }
}

/* A chain of which each model takes the one before twice, and a big model that is taken by many:
 * what would take long for its length is refused. */
static void add_segment(struct ig_buf *buf, const char *content, const char *output,
                        const char *predictor, int times)
{
    ig_buf_add_cstr(buf, "<Segment><True/><RegressionModel functionName='regression'>");
    if (output) ig_buf_printf(buf, "<Output><OutputField name='%s'/></Output>", output);
    ig_buf_add_cstr(buf, content);
    ig_buf_add_cstr(buf, "<RegressionTable intercept='1'>");
    for (int i = 0; i < times; i++)
        ig_buf_printf(buf, "<NumericPredictor name='%s' coefficient='1'/>", predictor);
    ig_buf_add_cstr(buf, "</RegressionTable></RegressionModel></Segment>");
}

static void expect_overuse(struct ig_buf *buf)
{
    struct ig_err err;
    struct ig_model *model;
    ig_buf_add_cstr(buf, "</Segmentation></MiningModel></PMML>");
    if (load(&model, buf->ptr, &err) == IG_OK || !strstr(err.message, "is used over and over"))
        fail_msg("'%s'", err.message);
    ig_buf_reset(buf);
}

static void test_work_is_bounded(void **state)
{
    static const char *const begin = "<PMML version='4.4'><DataDictionary>" NUMBER
                                     "</DataDictionary><MiningModel functionName='regression'>"
                                     "<MiningSchema><MiningField name='x'/></MiningSchema>"
                                     "<Segmentation multipleModelMethod='modelChain'>";
    struct ig_buf buf, extensions;
    (void)state;
    ig_buf_init(&buf, 1 << 22);
    ig_buf_init(&extensions, 1 << 22);
    ig_buf_add_cstr(&buf, begin);
    add_segment(&buf, "", "v0", NULL, 0);
    for (int i = 0; i < 30; i++) {
        char from[8], to[8];
        snprintf(from, sizeof from, "v%d", i);
        snprintf(to, sizeof to, "v%d", i + 1);
        add_segment(&buf, "", to, from, 2);
    }
    add_segment(&buf, "", NULL, "v30", 1);
    expect_overuse(&buf);
    for (int i = 0; i < 5000; i++) ig_buf_add_cstr(&extensions, "<Extension/>");
    ig_buf_add_cstr(&buf, begin);
    add_segment(&buf, extensions.ptr, "v", NULL, 0);
    add_segment(&buf, "", NULL, "v", 1000);
    expect_overuse(&buf);
    ig_buf_deinit(&extensions);
    ig_buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_complementary_children),
        cmocka_unit_test(test_unlisted_category_takes_the_last_child),
        cmocka_unit_test(test_counts_and_float),
        cmocka_unit_test(test_rounding_is_the_predicates_own),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_equal_definitions),
        cmocka_unit_test(test_regression_feeds_classification),
        cmocka_unit_test(test_inner_schemas),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_work_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
