#include "operation/problem.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

int problem_add(struct problem_list *list, enum problem_level level, struct problem_subject of, struct error *e,
                const char *format, ...)
{
    struct problem *grown = reallocarray(list->items, list->count + 1, sizeof *grown);
    va_list arguments;
    if (!grown)
        return error_memory(e);
    list->items = grown;
    struct problem *p = &grown[list->count];
    *p = (struct problem){.level = level, .of = of, .number = list->count};
    list->count++;
    va_start(arguments, format);
    vsnprintf(p->text, sizeof p->text, format, arguments);
    va_end(arguments);
    if (level > list->level)
        list->level = level;
    return 0;
}

static int worst_first(const void *a, const void *b)
{
    const struct problem *x = a, *y = b;
    if (x->level != y->level)
        return x->level > y->level ? -1 : 1;
    return x->number < y->number ? -1 : 1;
}

void problem_sort(struct problem_list *list)
{
    if (list->count > 0)
        qsort(list->items, list->count, sizeof *list->items, worst_first);
}

static bool is_other(const char *name, const char *of)
{
    return name && (!of || strcmp(name, of) != 0);
}

enum problem_level problem_worst(const struct problem_list *list, struct problem_subject of)
{
    enum problem_level worst = PROBLEM_NONE;
    for (size_t i = 0; i < list->count; i++) {
        const struct problem *p = &list->items[i];
        if (p->level > worst && !is_other(p->of.host, of.host) && !is_other(p->of.job, of.job) &&
            !is_other(p->of.sink, of.sink))
            worst = p->level;
    }
    return worst;
}

void problem_free(struct problem_list *list)
{
    free(list->items);
    *list = (struct problem_list){0};
}
