/* How much of each struct of the ABI a plugin must have: what the oldest level that is still taken had. Never the
 * host's own sizeof: a field that is appended would then refuse every plugin that was built before it. cofre_error is
 * not here: what it has at the oldest level is always there, and struct_size tells only what more there is.
 */
#ifndef COFRE_HOST_LEVELS_H
#define COFRE_HOST_LEVELS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "cofre/plugin.h"

#define LEVELS_OLDEST 2 /* that a plugin may have been written for */

/* Up to its last field of that level. */
#define LEVELS_SIZE(T, last) (offsetof(struct T, last) + sizeof(((struct T *)0)->last))
#define LEVELS_LIST LEVELS_SIZE(cofre_list, count)
#define LEVELS_SECRET LEVELS_SIZE(cofre_secret, length)
#define LEVELS_OPTION LEVELS_SIZE(cofre_option, help)
#define LEVELS_ATTRIBUTE LEVELS_SIZE(cofre_attribute, length)
#define LEVELS_ENTRY LEVELS_SIZE(cofre_entry, fingerprint_length)
#define LEVELS_SOURCE LEVELS_SIZE(cofre_source, scratch_drop)
#define LEVELS_OBJECT LEVELS_SIZE(cofre_object, mtime)
#define LEVELS_SINK LEVELS_SIZE(cofre_sink, space)
#define LEVELS_NOTIFIER LEVELS_SIZE(cofre_notifier, notify)
#define LEVELS_OFFER LEVELS_SIZE(cofre_offer, covered_by)
#define LEVELS_HEAD LEVELS_SIZE(cofre_plugin, min_host_level) /* never changes */
#define LEVELS_PLUGIN LEVELS_SIZE(cofre_plugin, environment)

/* What a plugin wrote, from_size bytes of it, as this host knows it: the rest is zero, what is newer is left. */
static inline void levels_copy(void *to, size_t size, const void *from, size_t from_size)
{
    memset(to, 0, size);
    memcpy(to, from, from_size < size ? from_size : size);
}

#endif
