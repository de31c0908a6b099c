/* The publish gate's judgement of cases on standard input, for an oracle that shares nothing with it
 * (tests/system/test_gate.py).
 *
 * A case: "SHRINK MIN_SIZE MIN_ENTRIES ENTRIES BYTES BELOW COUNT", and for each size before, the newest first, "ENTRIES
 * BYTES". Answer: a line with why it is suspect, or an empty one.
 *
 * With an argument, of parts. A case: {"shrink": N, "now": PARTS, "before": [PARTS, ...], "except": {NAME: true}}, each
 * PARTS a list of {"name", "entries", "bytes"} or null.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "job/gate.h"

static void stop(const char *why)
{
    fprintf(stderr, "gate_cases: %s\n", why);
    exit(1);
}

static int judge_parts(void)
{
    json_t *one;
    while ((one = json_loadf(stdin, JSON_DISABLE_EOF_CHECK, NULL))) {
        char why[GATE_WHY_MAX] = "";
        json_t *before[GATE_BEFORE], *lists = json_object_get(one, "before");
        const struct gate_rules rules = {.shrink = json_integer_value(json_object_get(one, "shrink"))};
        size_t count = json_array_size(lists);
        if (count > GATE_BEFORE)
            stop("too many lists");
        for (size_t i = 0; i < count; i++)
            before[i] = json_array_get(lists, i);
        gate_judge_parts(&rules, json_object_get(one, "now"), before, count, json_object_get(one, "except"), why);
        printf("%s\n", why);
        json_decref(one);
    }
    return 0;
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return judge_parts();
    struct gate_rules rules;
    struct gate_size now;
    uint64_t below;
    size_t count;
    int got;
    while ((got = scanf("%" SCNd64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %zu", &rules.shrink,
                        &rules.min_size, &rules.min_entries, &now.entries, &now.bytes, &below, &count)) == 7) {
        struct gate_past past = {.count = count};
        char why[GATE_WHY_MAX];
        if (count > GATE_BEFORE)
            stop("too many sizes");
        for (size_t i = 0; i < count; i++)
            if (scanf("%" SCNu64 " %" SCNu64, &past.sizes[i].entries, &past.sizes[i].bytes) != 2)
                stop("no size");
        bool suspect = gate_judge(&rules, &past, &now, below, why);
        if (suspect != (why[0] != '\0'))
            stop("the verdict is not what the words say");
        printf("%s\n", why);
    }
    if (got != EOF)
        stop("no case");
    return 0;
}
