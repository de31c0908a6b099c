/* Patterns of the options exclude and include: a subset of what gitignore knows.
 *
 *   *        any bytes within one component      ?       one byte      [a-z] [!a-z]   one byte of a class, or not of it
 *   **       as a whole component: any number of components, also none; at the end: everything below
 *   \x       x itself
 *   name/    a slash at the end: directories only
 *   a/b, /a  a slash elsewhere: the pattern is held against the whole path from the source's root
 *   name     no other slash: held against the last component, at any depth
 */
#ifndef COFRE_COMMON_PATTERN_H
#define COFRE_COMMON_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cofre/plugin.h"

struct pattern;
struct pattern_set {
    struct pattern *patterns;
    size_t count;
};

/* Compile a list, which must outlive the set, of patterns for what is below root, an absolute path. COFRE_E_CONFIG
 * names the option and the pattern that is wrong, or that would name nothing though it means something to other
 * programs: "!x", "{a,b}", a whole path. After an error the set is empty. */
int32_t pattern_compile(struct pattern_set *set, const char *option, const struct cofre_list *list, const char *root,
                        struct cofre_error *error);
void pattern_free(struct pattern_set *set);

/* Does one of them name this path? path is relative to the root, without a slash at its ends. */
bool pattern_matches(const struct pattern_set *set, const char *path, size_t length, bool directory);

/* Could one that is held against whole paths name something below this directory? */
bool pattern_leads_below(const struct pattern_set *set, const char *path, size_t length);

/* What becomes of an entry. outside: it lies in a directory that was kept only for what include names in it. */
enum pattern_verdict { PATTERN_KEEP, PATTERN_KEEP_PARTLY, PATTERN_LEAVE_OUT };
enum pattern_verdict pattern_judge(const struct pattern_set *exclude, const struct pattern_set *include,
                                   const char *path, size_t length, bool directory, bool outside);

/* Does a walk come to this path, of a directory or something else, through the directories above it? */
bool pattern_reaches(const struct pattern_set *exclude, const struct pattern_set *include, const char *path,
                     size_t length, bool directory);

/* One line for the log: the patterns that named nothing since they were compiled. */
void pattern_say_unused(const struct pattern_set *set, const char *option, struct cofre_call *call);

#endif
