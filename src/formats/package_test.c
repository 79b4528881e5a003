/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "formats/package_priv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* colour in {0, 2} ? -1 : (size <= 1.5 ? 0.25 : 2) */
static const char model_text[] = "tree\n"
                                 "version=v4\n"
                                 "num_class=1\n"
                                 "num_tree_per_iteration=1\n"
                                 "label_index=0\n"
                                 "max_feature_idx=1\n"
                                 "objective=binary sigmoid:1\n"
                                 "feature_names=size colour\n"
                                 "feature_infos=[0:9] 0:1:2\n"
                                 "tree_sizes=1\n"
                                 "\n"
                                 "Tree=0\n"
                                 "num_leaves=3\n"
                                 "num_cat=1\n"
                                 "split_feature=1 0\n"
                                 "threshold=0 1.5\n"
                                 "decision_type=1 8\n"
                                 "left_child=-1 -2\n"
                                 "right_child=1 -3\n"
                                 "leaf_value=-1 0.25 2\n"
                                 "leaf_count=5 3 2\n"
                                 "internal_count=10 5\n"
                                 "cat_boundaries=0 1\n"
                                 "cat_threshold=5\n"
                                 "\n"
                                 "end of trees\n";

static const char manifest_text[] =
    "model: model.txt\n"
    "task: binary\n"
    "features:\n"
    "  - {name: size}\n"
    "  - {name: colour, type: categorical, categories: [a, b, c]}\n";

static const double golden_rows[] = {1.5, 1, 1.6, 1, 7, 2, NAN, NAN, 1, -1};

static struct ig_str colours[] = {{"red", 3}, {"it's \"green\": #", 15}, {"bl\xc3\xbc", 4}};
static struct ig_str classes[] = {{"no", 2}, {"yes", 3}};
static struct ig_feature features[] = {
    {.name = {"size", 4}, .named = true},
    {.name = {"the colour, \"c\"", 15},
     .type = IG_FEATURE_CATEGORICAL,
     .categories = colours,
     .categories_count = 3},
};
static const struct ig_schema schema = {
    .features = features,
    .features_count = 2,
    .task = IG_TASK_BINARY,
    .target = {"bought", 6},
    .classes = classes,
    .classes_count = 2,
};

static struct ig_package_spec spec_of(size_t golden_count)
{
    return (struct ig_package_spec){
        .model_bytes = {model_text, sizeof model_text - 1},
        .schema = &schema,
        .name = IG_STR("shop: \"1\""),
        .metadata_json =
            IG_STR("{\"rows\": 1e3, \"engine\": {\"name\": \"x\\n\", \"list\": [1, null, "
                   "true, \"7\", []], \"empty\": {}}}"),
        .golden_rows = golden_rows,
        .golden_count = golden_count,
    };
}

static struct ig_package *open_good(struct ig_str bytes)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_package *package = NULL;
    if (ig_package_open_bytes(&package, bytes, NULL, &err) != IG_OK) fail_msg("%s", err.message);
    return package;
}

static void expect_refused(struct ig_str bytes, const struct ig_package_limits *limits,
                           enum ig_code code, const char *message)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_package *package = NULL;
    assert_int_equal(ig_package_open_bytes(&package, bytes, limits, &err), code);
    assert_null(package);
    if (!strstr(err.message, message)) fail_msg("'%s', expected '%s'", err.message, message);
}

static void make_zip(struct ig_buf *zip, const char *manifest, const char *golden)
{
    struct ig_err err = IG_ERR_INIT;
    const struct pkg_entry entries[] = {
        {"ingot.yaml", ig_str_view(manifest)},
        {"model.txt", {model_text, sizeof model_text - 1}},
        {"golden.csv", ig_str_view(golden)},
    };
    ig_buf_init(zip, 1 << 20);
    assert_int_equal(pkg_zip_write(zip, entries, golden ? 3 : 2, &err), IG_OK);
}

static void expect_zip_refused(const char *manifest, const char *golden, enum ig_code code,
                               const char *message)
{
    struct ig_buf zip;
    make_zip(&zip, manifest, golden);
    expect_refused(ig_buf_view(&zip), NULL, code, message);
    ig_buf_deinit(&zip);
}

static void make_zip_of(struct ig_buf *zip, const char *manifest, const char *file,
                        const char *model)
{
    struct ig_err err = IG_ERR_INIT;
    const struct pkg_entry entries[] = {{"ingot.yaml", ig_str_view(manifest)},
                                        {file, ig_str_view(model)}};
    ig_buf_init(zip, 1 << 20);
    assert_int_equal(pkg_zip_write(zip, entries, 2, &err), IG_OK);
}

/* CatBoost knows the category x by its hash, 3510494104. */
static const char hashed_model[] =
    "{\"features_info\":{\"categorical_features\":[{\"feature_id\":\"c\",\"feature_index\":0,"
    "\"flat_feature_index\":0,\"values\":[-784473192]}]},\"oblivious_trees\":[{\"leaf_values\":"
    "[1,2],\"splits\":[{\"split_type\":\"OneHotFeature\",\"split_index\":0}]}]}";
/* What stays of a package where its model is elsewhere. */
static struct ig_package *as_face(const struct ig_package *package)
{
    struct ig_package *face = NULL;
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf bytes;
    ig_buf_init(&bytes, 1 << 20);
    ig_package_face_write(&bytes, package);
    if (ig_package_face_read(&face, ig_buf_view(&bytes), &err) != IG_OK)
        fail_msg("%s", err.message);
    ig_buf_deinit(&bytes);
    return face;
}

/* What another process says of its model's importances is believed where it can be one. */
static void test_importances_of_faces(void **state)
{
    static const char PART[] = "\0\0\0\0\0\0\0\x40"; /* 2.0: the gain of the one split */
    struct ig_err err = IG_ERR_INIT;
    struct ig_package *face = NULL;
    struct ig_buf zip, bytes;
    double value;
    (void)state;
    make_zip_of(&zip, "model: model.txt\ntask: regression\nfeatures:\n  - {name: x}\n", "model.txt",
                "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\n"
                "max_feature_idx=0\nobjective=regression\nfeature_names=x\nfeature_infos=[0:9]\n"
                "tree_sizes=1\n\nTree=0\nnum_leaves=2\nnum_cat=0\nsplit_feature=0\nsplit_gain=2\n"
                "threshold=1.5\ndecision_type=8\nleft_child=-1\nright_child=-2\nleaf_value=1 3\n"
                "leaf_count=5 5\ninternal_count=10\n\nend of trees\n");
    struct ig_package *package = open_good(ig_buf_view(&zip));
    ig_buf_init(&bytes, 1 << 20);
    ig_package_face_write(&bytes, package);
    assert_int_equal(ig_package_face_read(&face, ig_buf_view(&bytes), &err), IG_OK);
    assert_true(ig_package_has_gains(package) && ig_package_has_gains(face));
    assert_int_equal(ig_package_importance(&value, face, IG_IMPORTANCE_TOTAL_GAIN, NULL, &err),
                     IG_OK);
    assert_true(value == 2);
    ig_package_free(face);
    char *at = memmem(bytes.ptr, bytes.len, PART, 8);
    assert_non_null(at);
    at[6] = (char)0xf0; /* infinite */
    at[7] = 0x7f;
    assert_int_equal(ig_package_face_read(&face, ig_buf_view(&bytes), &err), IG_CORRUPT);
    ig_package_free(package);
    ig_buf_deinit(&bytes);
    ig_buf_deinit(&zip);
}

#define HASHED(feature)                                                                            \
    "model: model.json\ntask: regression\nfeatures:\n  - {name: c, " feature "}\n"

/* A feature that the model alone knows to be given as text is no number either. */
static void test_hash_coded_features(void **state)
{
    struct ig_feature own[] = {{.name = IG_STR("a"), .type = IG_FEATURE_NUMERIC},
                               {.name = IG_STR("b"), .type = IG_FEATURE_CATEGORICAL},
                               {.name = IG_STR("c"), .type = IG_FEATURE_CATEGORICAL}};
    struct ig_input inputs[3] = {[1].hash_coded = true, [2].hash_coded = true};
    struct ig_model model = {.features_count = 3, .outputs_count = 1, .inputs = inputs};
    struct ig_schema mixed = {.features = own, .features_count = 3};
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    (void)state;
    ig_arena_init(&arena, 1024, 1 << 20);
    assert_int_equal(ig_schema_index(&mixed, &err), IG_OK);
    assert_int_equal(mixed.numbers_count, 3);
    assert_int_equal(pkg_schema_check(&mixed, &model, &arena, &err), IG_OK);
    assert_int_equal(mixed.numbers_count, 1);
    ig_schema_deinit(&mixed);
    ig_arena_deinit(&arena);
}

static void test_hashed_categories(void **state)
{
    static const char *const good[] = {
        HASHED("type: categorical, categories: [x]"),
        HASHED("type: categorical, categories_hashed: true, categories: ['3510494104']"),
    };
    static const struct {
        const char *manifest, *message;
    } bad[] = {
        {HASHED("type: categorical, categories: [y]"),
         "category 0 is 'y', expected the one of hash 3510494104"},
        {HASHED("type: categorical, categories_hashed: true, categories: [x]"),
         "category 0 is 'x', expected the one of hash 3510494104"},
        {HASHED("type: categorical"), "feature 'c': 0 categories, the model tells 1 apart"},
        {HASHED("type: numeric"), "type numeric, but the model has it categorical"},
        {HASHED("categories_hashed: true"), "expected type: categorical with them"},
        {HASHED("type: categorical, categories_hashed: 7"), "categories_hashed"},
    };
    struct ig_buf zip;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        make_zip_of(&zip, good[i], "model.json", hashed_model);
        struct ig_package *package = open_good(ig_buf_view(&zip)), *face = as_face(package);
        const struct ig_feature *either[] = {&package->schema.features[0],
                                             &face->schema.features[0]};
        for (size_t k = 0; k < 2; k++) {
            assert_int_equal(ig_feature_category_code(either[k], IG_STR("x")), 0);
            assert_int_equal(ig_feature_category_code(either[k], IG_STR("y")), -1);
        }
        ig_package_free(face);
        ig_package_free(package);
        ig_buf_deinit(&zip);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        make_zip_of(&zip, bad[i].manifest, "model.json", hashed_model);
        expect_refused(ig_buf_view(&zip), NULL, IG_INVALID, bad[i].message);
        ig_buf_deinit(&zip);
    }
}

/* What a model needs, it needs whatever the manifest says of it. */
static void test_required_features(void **state)
{
    const double row[] = {NAN};
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf zip;
    (void)state;
    make_zip_of(
        &zip, "model: model.pmml\ntask: regression\nfeatures:\n  - {name: x}\n", "model.pmml",
        "<PMML version='4.4'><DataDictionary><DataField name='x' optype='continuous' "
        "dataType='double'/></DataDictionary><RegressionModel functionName='regression'>"
        "<MiningSchema><MiningField name='x'/></MiningSchema><RegressionTable><NumericPredictor "
        "name='x' coefficient='2'/></RegressionTable></RegressionModel></PMML>");
    struct ig_package *package = open_good(ig_buf_view(&zip));
    assert_int_equal(ig_schema_check_rows(&package->schema, row, 1, &err), IG_INVALID);
    assert_non_null(strstr(err.message, "row 0: feature 'x' is missing"));
    struct ig_package *face = as_face(package);
    assert_int_equal(ig_schema_check_rows(&face->schema, row, 1, &err), IG_INVALID);
    ig_package_free(face);
    ig_package_free(package);
    ig_buf_deinit(&zip);
}

static void test_bare_model(void **state)
{
    (void)state;
    struct ig_package *package = open_good((struct ig_str){model_text, sizeof model_text - 1});
    assert_string_equal(package->format->name, "lightgbm");
    assert_int_equal(package->schema.task, IG_TASK_BINARY);
    assert_int_equal(package->schema.features_count, 2);
    assert_int_equal(ig_schema_feature_index(&package->schema, IG_STR("colour")), 1);
    assert_int_equal(package->schema.features[0].type, IG_FEATURE_NUMERIC);
    assert_int_equal(package->schema.features[1].type, IG_FEATURE_CATEGORICAL);
    assert_int_equal(package->schema.classes_count, 2);
    assert_true(ig_str_is(package->schema.classes[1], "1"));
    assert_true(ig_str_is(package->metadata_json, "{}"));
    assert_int_equal(package->golden_rows_count, 0);
    assert_true(package->memory_bytes > 1000);
    ig_package_free(package);
}

static void test_written_package_opens_again(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_package_spec spec = spec_of(5);
    struct ig_buf zip;
    struct ig_buf again;
    ig_buf_init(&zip, 1 << 20);
    ig_buf_init(&again, 1 << 20);
    if (ig_package_write(&zip, &spec, &err) != IG_OK) fail_msg("%s", err.message);
    assert_int_equal(ig_package_write(&again, &spec, &err), IG_OK);
    assert_true(ig_str_eq(ig_buf_view(&zip), ig_buf_view(&again)));
    struct ig_package *package = open_good(ig_buf_view(&zip));
    const struct ig_schema *read = &package->schema;
    assert_true(ig_str_is(package->name, "shop: \"1\""));
    assert_true(ig_str_is(package->metadata_json,
                          "{\"rows\":1e3,\"engine\":{\"name\":\"x\\n\",\"list\":[1,null,true,\"7\","
                          "[]],\"empty\":{}}}"));
    assert_int_equal(read->task, IG_TASK_BINARY);
    assert_true(ig_str_is(read->target, "bought"));
    assert_true(ig_str_is(read->classes[1], "yes"));
    for (int i = 0; i < 3; i++) {
        assert_true(ig_str_eq(read->features[1].categories[i], colours[i]));
        assert_int_equal(ig_feature_category_code(&read->features[1], colours[i]), i);
    }
    assert_int_equal(ig_schema_feature_index(read, features[1].name), 1);
    assert_int_equal(package->golden_rows_count, 5);
    assert_int_equal(strlen(package->model_digest), 64);
    ig_package_free(package);
    ig_buf_deinit(&zip);
    ig_buf_deinit(&again);
}

static void test_write_refuses_what_does_not_fit(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_package_spec spec = spec_of(0);
    struct ig_schema wrong = schema;
    struct ig_buf zip;
    ig_buf_init(&zip, 1 << 20);
    wrong.features_count = 1;
    spec.schema = &wrong;
    assert_int_equal(ig_package_write(&zip, &spec, &err), IG_INVALID);
    assert_string_equal(err.message, "features: 1 in the schema, 2 in the model");
    ig_err_clear(&err);
    spec = spec_of(0);
    spec.metadata_json = IG_STR("[1]");
    assert_int_not_equal(ig_package_write(&zip, &spec, &err), IG_OK);
    ig_err_clear(&err);
    spec = spec_of(10001);
    assert_int_equal(ig_package_write(&zip, &spec, &err), IG_TOO_LARGE);
    assert_string_equal(err.message, "golden rows: 10001, at most 10000");
    ig_err_clear(&err);
    spec = spec_of(0);
    spec.model_bytes = IG_STR("hello");
    assert_int_equal(ig_package_write(&zip, &spec, &err), IG_UNSUPPORTED);
    ig_buf_deinit(&zip);
}

static void test_golden_rows_guard_the_load(void **state)
{
    (void)state;
    const struct ig_package_limits no_golden = {.skip_golden = true};
    struct ig_err err = IG_ERR_INIT;
    struct ig_package *package = NULL;
    struct ig_buf zip;
    make_zip(&zip, manifest_text, "size,colour,margin\n1.5,1,0.25\n,,-1\n9,1,2\n");
    expect_refused(ig_buf_view(&zip), NULL, IG_CORRUPT,
                   "golden row 1: margin -1 expected, 2 computed (output 0)");
    assert_int_equal(ig_package_open_bytes(&package, ig_buf_view(&zip), &no_golden, &err), IG_OK);
    ig_package_free(package);
    ig_buf_deinit(&zip);
    expect_zip_refused(manifest_text, "size,colour,margin\n1.5,1,0.2500001\n", IG_CORRUPT,
                       "golden row 0: margin 0.2500001");
    expect_zip_refused(manifest_text, "size,colour,margin\n1.5,1\n", IG_CORRUPT, "golden row 0");
    expect_zip_refused(manifest_text, "size,colour,margin\n1.5,x,1\n", IG_CORRUPT,
                       "golden row 0: 'x' is not a number");
    expect_zip_refused(manifest_text, "colour,size,margin\n1.5,1,1\n", IG_CORRUPT,
                       "golden.csv: column 'colour', expected 'size'");
    expect_zip_refused(manifest_text, "size,colour\n", IG_CORRUPT,
                       "golden.csv: 2 columns, expected 3");
    char *many = malloc(200000);
    memcpy(many, "size,colour,margin\n", 20);
    for (char *at = many + strlen(many), *end = at + 10001 * 9; at < end; at += 9)
        memcpy(at, "1,1,0.25\n", 10);
    expect_zip_refused(manifest_text, many, IG_TOO_LARGE, "golden.csv: more than 10000 rows");
    free(many);
    char tolerant[600];
    snprintf(tolerant, sizeof tolerant, "%sgolden_tolerance: 0.001\n", manifest_text);
    make_zip(&zip, tolerant, "size,colour,margin\n1.5,1,0.2500001\n");
    package = open_good(ig_buf_view(&zip));
    assert_int_equal(package->golden_rows_count, 1);
    ig_package_free(package);
    ig_buf_deinit(&zip);
}

static void test_broken_manifests(void **state)
{
    (void)state;
    expect_zip_refused("model: ../model.txt\ntask: binary\nfeatures: [{name: a}]\n", NULL,
                       IG_INVALID,
                       "ingot.yaml: line 1: model: expected the name of a file without a folder");
    expect_zip_refused("model: m.txt\ntask: binary\nfeatures: [{name: a}]\n", NULL, IG_NOT_FOUND,
                       "m.txt: not in the zip");
    expect_zip_refused("model: model.txt\ntask: sorting\nfeatures: [{name: a}]\n", NULL, IG_INVALID,
                       "line 2: task: expected regression, binary, multiclass or ranking");
    expect_zip_refused("model: model.txt\ntask: binary\nfeatures: [{name: a}]\n", NULL, IG_INVALID,
                       "features: 1 in the schema, 2 in the model");
    expect_zip_refused("model: model.txt\ntask: binary\nfeatures: [{name: a}, {name: a}]\n", NULL,
                       IG_INVALID, "feature 'a' stands twice");
    expect_zip_refused("model: model.txt\ntask: binary\nfeatures: [{name: a, type: odd}]\n", NULL,
                       IG_INVALID, "type: expected numeric, integer or categorical");
    expect_zip_refused("model: model.txt\ntask: multiclass\nfeatures: [{name: a}, {name: b}]\n",
                       NULL, IG_INVALID, "task: multiclass, but the model has one output");
    expect_zip_refused("model: model.txt\nformat: xgboost-json\ntask: binary\n"
                       "features: [{name: a}, {name: b}]\n",
                       NULL, IG_INVALID,
                       "format: 'xgboost-json' in the manifest, but the model is lightgbm");
    expect_zip_refused("a: [", NULL, IG_PARSE, "ingot.yaml: YAML line");
    expect_zip_refused("- 1\n", NULL, IG_INVALID, "manifest: expected a mapping");
}

/* Overwrites the sizes that the central directory claims for the model. */
static void claim_size(struct ig_buf *zip, uint32_t packed, uint32_t unpacked)
{
    const char *at = memmem(zip->ptr, zip->len, "model.txt", 9);
    assert_non_null(at);
    at = memmem(at + 9, (size_t)(zip->ptr + zip->len - at - 9), "model.txt", 9);
    assert_non_null(at);
    char *header = zip->ptr + (at - zip->ptr) - 46;
    assert_memory_equal(header, "PK\001\002", 4);
    if (packed) memcpy(header + 20, &packed, 4);
    memcpy(header + 24, &unpacked, 4);
}

static void test_zip_claims(void **state)
{
    (void)state;
    const struct ig_package_limits small = {.file_max_bytes = 200};
    struct ig_buf zip;
    make_zip(&zip, manifest_text, NULL);
    expect_refused(ig_buf_view(&zip), &small, IG_TOO_LARGE, "bytes, at most 200");
    claim_size(&zip, 0, 0x7fffffff);
    expect_refused(ig_buf_view(&zip), NULL, IG_CORRUPT, "model.txt: claims 2147483647 bytes from");
    claim_size(&zip, 0, 10);
    expect_refused(ig_buf_view(&zip), NULL, IG_CORRUPT, "model.txt:");
    claim_size(&zip, 0, 100000);
    expect_refused(ig_buf_view(&zip), NULL, IG_CORRUPT, "model.txt:");
    zip.len /= 2;
    expect_refused(ig_buf_view(&zip), NULL, IG_PARSE, "zip: ");
    ig_buf_deinit(&zip);
    expect_refused(IG_STR(""), NULL, IG_UNSUPPORTED, "no model file");
    expect_refused(IG_STR("PK\005\006"), NULL, IG_PARSE, "zip: ");
}

static void test_zip_without_manifest(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf zip;
    const struct pkg_entry model = {"model.txt", {model_text, sizeof model_text - 1}};
    const struct pkg_entry other = {"readme", IG_STR("nothing")};
    ig_buf_init(&zip, 1 << 20);
    assert_int_equal(pkg_zip_write(&zip, &model, 1, &err), IG_OK);
    ig_package_free(open_good(ig_buf_view(&zip)));
    assert_int_equal(pkg_zip_write(&zip, &other, 1, &err), IG_OK);
    expect_refused(ig_buf_view(&zip), NULL, IG_NOT_FOUND,
                   "neither ingot.yaml nor a model file is in the package");
    ig_buf_deinit(&zip);
}

static void put_file(int dirfd, const char *name, struct ig_str bytes)
{
    struct ig_err err = IG_ERR_INIT;
    assert_int_equal(ig_file_replace(dirfd, name, bytes, &err), IG_OK);
}

static void test_directory_and_files(void **state)
{
    (void)state;
    char folder[] = "/tmp/ingot-package-XXXXXX";
    struct ig_err err = IG_ERR_INIT;
    struct ig_package *package = NULL;
    int dirfd = -1;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(ig_dir_make(&dirfd, IG_FILE_CWD, folder, &err), IG_OK);
    put_file(dirfd, "ingot.yaml", ig_str_view(manifest_text));
    put_file(dirfd, "model.txt", (struct ig_str){model_text, sizeof model_text - 1});
    put_file(dirfd, "golden.csv", IG_STR("size,colour,margin\n1,1,0.25\n"));
    assert_int_equal(ig_package_open(&package, IG_FILE_CWD, folder, NULL, &err), IG_OK);
    assert_int_equal(package->golden_rows_count, 1);
    assert_int_equal(ig_feature_category_code(&package->schema.features[1], IG_STR("c")), 2);
    ig_package_free(package);
    assert_int_equal(ig_package_open(&package, dirfd, "model.txt", NULL, &err), IG_OK);
    ig_package_free(package);
    assert_int_equal(ig_package_open(&package, dirfd, "absent", NULL, &err), IG_NOT_FOUND);
    ig_file_close(&dirfd);
    ig_err_clear(&err);
    assert_int_equal(ig_dir_remove_tree(IG_FILE_CWD, folder, &err), IG_OK);
}

static void test_every_allocation_may_fail_in_open(void **state)
{
    (void)state;
    struct ig_buf zip;
    make_zip(&zip, manifest_text, "size,colour,margin\n1,1,0.25\n");
    for (uint64_t n = 1;; n++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_package *package = NULL;
        ig_mem_fail_after(n);
        enum ig_code code = ig_package_open_bytes(&package, ig_buf_view(&zip), NULL, &err);
        bool refused = ig_mem_failed();
        ig_mem_fail_after(0);
        if (code == IG_OK)
            ig_package_free(package);
        else
            assert_null(package);
        if (!refused) break;
        assert_true(code == IG_OK || code == IG_NO_MEMORY || code == IG_TOO_LARGE);
        assert_true(n < 10000);
    }
    ig_buf_deinit(&zip);
}

static void test_every_allocation_may_fail_in_write(void **state)
{
    (void)state;
    struct ig_package_spec spec = spec_of(5);
    for (uint64_t n = 1;; n++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_buf zip;
        ig_buf_init(&zip, 1 << 20);
        ig_mem_fail_after(n);
        enum ig_code code = ig_package_write(&zip, &spec, &err);
        bool refused = ig_mem_failed();
        ig_mem_fail_after(0);
        ig_buf_deinit(&zip);
        if (!refused) {
            assert_int_equal(code, IG_OK);
            break;
        }
        assert_true(code == IG_OK || code == IG_NO_MEMORY || code == IG_TOO_LARGE);
        assert_true(n < 10000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_importances_of_faces),
        cmocka_unit_test(test_hashed_categories),
        cmocka_unit_test(test_hash_coded_features),
        cmocka_unit_test(test_required_features),
        cmocka_unit_test(test_bare_model),
        cmocka_unit_test(test_written_package_opens_again),
        cmocka_unit_test(test_write_refuses_what_does_not_fit),
        cmocka_unit_test(test_golden_rows_guard_the_load),
        cmocka_unit_test(test_broken_manifests),
        cmocka_unit_test(test_zip_claims),
        cmocka_unit_test(test_zip_without_manifest),
        cmocka_unit_test(test_directory_and_files),
        cmocka_unit_test(test_every_allocation_may_fail_in_open),
        cmocka_unit_test(test_every_allocation_may_fail_in_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
