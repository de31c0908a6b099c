#include "common/pattern.h"

#include <stdlib.h>
#include <string.h>

#include "cofre/plugin.h"
#include "common/remark.h"

struct pattern {
    const char *written; /* of the list */
    char *text;          /* without the slashes at its ends */
    bool anchored, directories_only;
    bool used; /* it named something */
};

/* The class that begins at p, after '[': does it hold c? *end is set behind the ']'. false and *end NULL: not closed.
 */
static bool class_holds(const char *p, const char *limit, unsigned char c, const char **end)
{
    bool negated = p < limit && (*p == '!' || *p == '^'), holds = false;
    if (negated)
        p++;
    *end = NULL;
    for (const char *first = p; p < limit && (*p != ']' || p == first); p++) {
        if (*p == '\\' && p + 1 < limit)
            p++;
        unsigned char low = (unsigned char)*p, high = low;
        if (p + 2 < limit && p[1] == '-' && p[2] != ']') {
            p += p[2] == '\\' && p + 3 < limit ? 3 : 2;
            high = (unsigned char)*p;
        }
        holds |= low <= c && c <= high;
    }
    if (p >= limit)
        return false;
    *end = p + 1;
    return holds != negated;
}

/* Does the one pattern character at *p match c? *p moves behind it. */
static bool match_one(const char **p, const char *limit, unsigned char c)
{
    const char *end;
    bool holds;
    switch (**p) {
    case '?':
        ++*p;
        return true;
    case '[':
        holds = class_holds(*p + 1, limit, c, &end);
        *p = end ? end : limit;
        return holds;
    case '\\':
        if (*p + 1 < limit)
            ++*p;
        break;
    default:
        break;
    }
    return (unsigned char)*(*p)++ == c;
}

/* One component. After a mismatch only the last star is moved on: quadratic at worst. */
static bool match_component(const char *p, size_t p_length, const char *s, size_t s_length)
{
    const char *p_end = p + p_length, *s_end = s + s_length, *star = NULL, *star_s = NULL;
    for (;;) {
        if (p < p_end && *p == '*') {
            star = ++p;
            star_s = s;
            continue;
        }
        if (p == p_end && s == s_end)
            return true;
        if (p < p_end && s < s_end && match_one(&p, p_end, (unsigned char)*s)) {
            s++;
            continue;
        }
        if (!star || star_s == s_end)
            return false;
        p = star;
        s = ++star_s;
    }
}

static size_t component_length(const char *s, const char *end)
{
    const char *slash = memchr(s, '/', (size_t)(end - s));
    return (size_t)((slash ? slash : end) - s);
}

/* The component after the one of this length at s; end when there is none. */
static const char *next_component(const char *s, size_t length, const char *end)
{
    return s + length < end ? s + length + 1 : end;
}

static bool is_any(const char *p, size_t length)
{
    return length == 2 && p[0] == '*' && p[1] == '*';
}

/* All components; "**" is to them what '*' is to bytes. */
static bool match_path(const char *p, const char *s, const char *s_end)
{
    const char *p_end = p + strlen(p), *any = NULL, *any_s = NULL;
    for (;;) {
        size_t p_length = component_length(p, p_end), s_length = component_length(s, s_end);
        if (is_any(p, p_length)) {
            if (p + p_length == p_end)
                return s < s_end;
            p = any = next_component(p, p_length, p_end);
            any_s = s;
            continue;
        }
        if (p == p_end && s == s_end)
            return true;
        if (p < p_end && s < s_end && match_component(p, p_length, s, s_length)) {
            p = next_component(p, p_length, p_end);
            s = next_component(s, s_length, s_end);
            continue;
        }
        if (!any || any_s == s_end)
            return false;
        p = any;
        s = any_s = next_component(any_s, component_length(any_s, s_end), s_end);
    }
}

bool pattern_matches(const struct pattern_set *set, const char *path, size_t length, bool directory)
{
    const char *slash = set->count ? memrchr(path, '/', length) : NULL;
    const char *base = slash ? slash + 1 : path, *end = path + length;
    bool matches = false;
    for (size_t i = 0; i < set->count; i++) {
        struct pattern *p = &set->patterns[i];
        /* After the first match the others are held against it only to learn whether they are of any use. */
        if ((matches && p->used) || (p->directories_only && !directory))
            continue;
        if (p->anchored ? match_path(p->text, path, end)
                        : match_component(p->text, strlen(p->text), base, (size_t)(end - base)))
            matches = p->used = true;
    }
    return matches;
}

static bool leads_below(const char *p, const char *s, const char *s_end)
{
    const char *p_end = p + strlen(p);
    while (s < s_end) {
        size_t p_length = component_length(p, p_end), s_length = component_length(s, s_end);
        if (is_any(p, p_length))
            return true;
        if (p == p_end || !match_component(p, p_length, s, s_length))
            return false;
        p = next_component(p, p_length, p_end);
        s = next_component(s, s_length, s_end);
    }
    return p < p_end;
}

bool pattern_leads_below(const struct pattern_set *set, const char *path, size_t length)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->patterns[i].anchored && leads_below(set->patterns[i].text, path, path + length))
            return true;
    return false;
}

/* What is wrong with one component; NULL when nothing is. */
static const char *component_fault(const char *p, size_t length)
{
    const char *end;
    if (length == 0)
        return "it has an empty component";
    if (p[0] == '.' && (length == 1 || (length == 2 && p[1] == '.')))
        return "'.' and '..' name nothing in a snapshot";
    for (const char *q = p; q < p + length; q++) {
        if (*q == '\\' && ++q == p + length)
            return "it ends with a backslash";
        if (q[0] != '[' || (q > p && q[-1] == '\\'))
            continue;
        class_holds(q + 1, p + length, 0, &end);
        if (!end)
            return "its '[' has no ']'";
        q = end - 1;
    }
    return NULL;
}

static const char *fault(const char *text)
{
    const char *end = text + strlen(text), *wrong = NULL;
    if (text == end)
        return "it is empty";
    for (const char *p = text; !wrong;) {
        size_t length = component_length(p, end);
        wrong = component_fault(p, length);
        if (p + length == end)
            break;
        p += length + 1;
    }
    return wrong;
}

/* ---- what other programs know, and what it would name here: nothing ---- */

static const char *foreign_beginning(const char *text)
{
    static const char *const kinds[] = {"re:", "sh:", "fm:", "pp:", "pf:", "glob:", "regex:", "regexp:"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strncmp(text, kinds[i], strlen(kinds[i])) == 0)
            return kinds[i];
    return NULL;
}

static bool braces_balance(const char *p)
{
    int open = 0;
    for (; *p && open >= 0; p++) {
        if (*p == '\\' && p[1])
            p++;
        else
            open += (*p == '{') - (*p == '}');
    }
    return open == 0;
}

/* What follows root in a whole path that begins with it; NULL in any other pattern. */
static const char *behind_root(const char *text, const char *root)
{
    size_t n = strlen(root);
    while (n > 0 && root[n - 1] == '/')
        n--;
    return n > 0 && strncmp(text, root, n) == 0 && (text[n] == '\0' || text[n] == '/') ? text + n : NULL;
}

/* NULL, or what is misunderstood, with the hint. */
static const char *misunderstanding(const char *text, const char *root, struct cofre_error *error)
{
    const char *kind = foreign_beginning(text);
    cofre_hint(error, "write \\%c for a name that has this character", *text);
    if (text[0] == '!') {
        cofre_hint(error, "what is to be kept all the same stands in include; write \\! for a name that begins so");
        return "'!' does not take back another pattern";
    }
    if (text[0] == '\'' || text[0] == '"')
        return "quotes would be part of the name";
    if (text[0] == '~' && (text[1] == '\0' || text[1] == '/'))
        return "'~' is no home directory: patterns begin at path";
    if (kind)
        return "kinds of patterns are not told apart by such a beginning";
    if (strncmp(text, "# ", 2) == 0 || strstr(text, " # ")) {
        cofre_hint(error, "give the comment a line of its own; write \\# for a name that has this character");
        return "a comment would be part of the name";
    }
    if (!braces_balance(text)) {
        cofre_hint(error, "write a pattern for each, such as *.jpg, *.png; \\{ is the brace itself");
        return "braces mean nothing, and a comma ends the pattern";
    }
    const char *rest = behind_root(text, root);
    if (rest) {
        cofre_hint(error, "leave out path: '%.100s'; or, for a directory of that name in it, the first slash", rest);
        return "patterns begin at path, and this one repeats it";
    }
    return NULL;
}

static int32_t compile_one(struct pattern *p, const char *option, const char *text, const char *root,
                           struct cofre_error *error)
{
    size_t length = strlen(text);
    p->written = text;
    p->directories_only = length > 1 && text[length - 1] == '/';
    length -= p->directories_only;
    p->anchored = memchr(text, '/', length) != NULL;
    bool rooted = length > 0 && text[0] == '/';
    p->text = strndup(text + rooted, length - rooted);
    if (!p->text)
        return cofre_fail(error, COFRE_E_MEMORY, "read option '%s': out of memory", option);
    struct cofre_error hint = {.struct_size = sizeof hint};
    const char *wrong = fault(p->text), *foreign = wrong ? NULL : misunderstanding(text, root, &hint);
    if (!wrong && !foreign)
        return COFRE_OK;
    cofre_fail(error, COFRE_E_CONFIG, "read option '%s': pattern '%.200s' cannot work: %s", option, text,
               wrong ? wrong : foreign);
    if (foreign)
        cofre_hint(error, "%s", hint.hint);
    return COFRE_E_CONFIG;
}

int32_t pattern_compile(struct pattern_set *set, const char *option, const struct cofre_list *list, const char *root,
                        struct cofre_error *error)
{
    *set = (struct pattern_set){0};
    if (!list->count)
        return COFRE_OK;
    set->patterns = calloc(list->count, sizeof *set->patterns);
    if (!set->patterns)
        return cofre_fail(error, COFRE_E_MEMORY, "read option '%s': out of memory", option);
    set->count = list->count;
    for (size_t i = 0; i < list->count; i++) {
        int32_t result = compile_one(&set->patterns[i], option, list->items[i], root, error);
        if (result != COFRE_OK) {
            pattern_free(set);
            return result;
        }
    }
    return COFRE_OK;
}

/* ---- both sets together ---- */

enum pattern_verdict pattern_judge(const struct pattern_set *exclude, const struct pattern_set *include,
                                   const char *path, size_t length, bool directory, bool outside)
{
    if (!outside && !exclude->count)
        return PATTERN_KEEP;
    if (pattern_matches(include, path, length, directory))
        return PATTERN_KEEP;
    if (!outside && !pattern_matches(exclude, path, length, directory))
        return PATTERN_KEEP;
    return directory && pattern_leads_below(include, path, length) ? PATTERN_KEEP_PARTLY : PATTERN_LEAVE_OUT;
}

bool pattern_reaches(const struct pattern_set *exclude, const struct pattern_set *include, const char *path,
                     size_t length, bool directory)
{
    enum pattern_verdict verdict = PATTERN_KEEP;
    const char *end = path + length;
    for (const char *p = path; p < end && verdict != PATTERN_LEAVE_OUT; p++) {
        p += component_length(p, end);
        verdict = pattern_judge(exclude, include, path, (size_t)(p - path), directory || p < end,
                                verdict == PATTERN_KEEP_PARTLY);
    }
    return verdict != PATTERN_LEAVE_OUT;
}

void pattern_say_unused(const struct pattern_set *set, const char *option, struct cofre_call *call)
{
    char what[80];
    struct remark unused = {0};
    for (size_t i = 0; i < set->count; i++)
        if (!set->patterns[i].used)
            remark_add(&unused, set->patterns[i].written, strlen(set->patterns[i].written));
    snprintf(what, sizeof what, "patterns of %.20s that name nothing in this tree", option);
    remark_say(&unused, call, COFRE_LOG_NOTICE, what);
}

void pattern_free(struct pattern_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        free(set->patterns[i].text);
    free(set->patterns);
    *set = (struct pattern_set){0};
}
