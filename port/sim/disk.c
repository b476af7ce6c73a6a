/* The simulated disk: nodes, names, and the changes that are not synced. */
#include "port/sim/world.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

struct disk disk;

void disk_init(struct disk *d)
{
	memset(d, 0, sizeof *d);
	d->root = node_new(d, true);
	d->root->refs = d->root->present = 1;
}

struct node *node_new(struct disk *d, bool dir)
{
	struct node *n = sim_take(sizeof *n);

	n->dir = dir;
	n->previous = d->last;
	if (d->last)
		d->last->next = n;
	else
		d->first = n;
	d->last = n;
	return n;
}

static void node_free(struct disk *d, struct node *n)
{
	changes_free(n);
	blocks_free(&n->blocks);
	if (n->previous)
		n->previous->next = n->next;
	else
		d->first = n->next;
	if (n->next)
		n->next->previous = n->previous;
	else
		d->last = n->previous;
	free(n);
}

void node_ref(struct node *n)
{
	n->refs++;
}

void node_unref(struct node *n)
{
	if (--n->refs > 0)
		return;
	/* as deep as directories go, which tests decide */
	names_clear(&n->names[NOW], true);
	names_clear(&n->names[DURABLE], false);
	node_free(&disk, n);
}

void node_present(struct node *n, int by)
{
	if (by < 0 && --n->present == 0)
		disk.used -= n->blocks.held[NOW] * BLOCK;
	if (by > 0 && n->present++ == 0)
		disk.used += n->blocks.held[NOW] * BLOCK;
}

void disk_count(void)
{
	disk.used = 0;
	for (const struct node *n = disk.first; n; n = n->next)
		if (n->present)
			disk.used += n->blocks.held[NOW] * BLOCK;
}

/* Where text is, or where it belongs. */
static size_t names_place(const struct names *n, const char *text, bool *found)
{
	size_t low = 0, high = n->count;

	*found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(n->list[middle].text, text);

		if (order == 0) {
			*found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct node *names_find(const struct names *n, const char *text)
{
	bool found;
	size_t at = names_place(n, text, &found);

	return found ? n->list[at].node : NULL;
}

static void name_unref(struct node *node, bool now)
{
	if (now)
		node_present(node, -1);
	node_unref(node);
}

void names_set(struct names *n, const char *text, struct node *node, bool now)
{
	bool found;
	size_t at = names_place(n, text, &found);
	struct node *old = found ? n->list[at].node : NULL;

	if (node) {
		node_ref(node);
		if (now)
			node_present(node, 1);
	}
	if (node && found) {
		n->list[at].node = node;
	} else if (node) {
		if (n->count == n->cap) {
			n->cap = n->cap ? n->cap * 2 : 8;
			n->list = sim_retake(n->list, n->cap * sizeof *n->list);
		}
		memmove(n->list + at + 1, n->list + at, (n->count++ - at) * sizeof *n->list);
		n->list[at] = (struct name){ .text = sim_text(text), .node = node };
	} else if (found) {
		free(n->list[at].text);
		memmove(n->list + at, n->list + at + 1, (--n->count - at) * sizeof *n->list);
	}
	if (old)
		name_unref(old, now);
}

void names_clear(struct names *n, bool now)
{
	for (size_t i = 0; i < n->count; i++) {
		free(n->list[i].text);
		name_unref(n->list[i].node, now);
	}
	free(n->list);
	memset(n, 0, sizeof *n);
}

void name_apply(const struct name_change *c, enum side side)
{
	struct names *names = &c->dir->names[side];
	bool now = side == NOW;

	switch (c->kind) {
	case NAME_MADE:
		names_set(names, c->name, c->node, now);
		break;
	case NAME_GONE:
		if (names_find(names, c->name) == c->node)
			names_set(names, c->name, NULL, now);
		break;
	case NAME_MOVED:
		names_set(&c->to_dir->names[side], c->to_name, c->node, now);
		if (names_find(names, c->name) == c->node)
			names_set(names, c->name, NULL, now);
		break;
	}
}

void name_make_durable(const struct name_change *c)
{
	if (c->kind == NAME_MOVED && names_find(&c->dir->names[DURABLE], c->name) != c->node)
		for (struct node *n = disk.first; n; n = n->next)
			for (size_t i = n->names[DURABLE].count; i-- > 0;)
				if (n->names[DURABLE].list[i].node == c->node)
					names_set(&n->names[DURABLE], n->names[DURABLE].list[i].text, NULL, false);
	name_apply(c, DURABLE);
}

void name_change_free(struct name_change *c)
{
	node_unref(c->dir);
	if (c->to_dir)
		node_unref(c->to_dir);
	node_unref(c->node);
	free(c->name);
	free(c->to_name);
	free(c);
}

struct node *disk_find(const char *path)
{
	struct node *n = disk.root;
	char name[256];

	while (n && *path) {
		size_t len = strcspn(path, "/");

		if (len > 0 && !(len == 1 && path[0] == '.')) {
			if (!n->dir || len >= sizeof name)
				return NULL;
			memcpy(name, path, len);
			name[len] = '\0';
			n = names_find(&n->names[NOW], name);
		}
		path += len;
		if (*path == '/')
			path++;
	}
	return n;
}

void disk_free(struct disk *d)
{
	while (d->changes) {
		struct name_change *c = d->changes;

		d->changes = c->next;
		free(c->name);
		free(c->to_name);
		free(c);
	}
	while (d->first) {
		struct node *n = d->first;

		for (int side = 0; side < 2; side++) {
			for (size_t i = 0; i < n->names[side].count; i++)
				free(n->names[side].list[i].text);
			free(n->names[side].list);
		}
		node_free(d, n);
	}
}

void change_apply(struct node *file, const struct change *c, enum side side)
{
	if (c->data) {
		blocks_write(&file->blocks, side, c->offset, c->data, (size_t)c->len);
		if (file->size[side] < c->offset + c->len)
			file->size[side] = c->offset + c->len;
	} else {
		if (c->offset < file->size[side])
			blocks_cut(&file->blocks, side, c->offset);
		file->size[side] = c->offset;
	}
}

void changes_free(struct node *file)
{
	while (file->changes) {
		struct change *c = file->changes;

		file->changes = c->next;
		free(c->data);
		free(c);
	}
}

void node_reread(struct node *file)
{
	blocks_same(&file->blocks, NOW);
	file->size[NOW] = file->size[DURABLE];
	file->false_now = false;
	for (const struct change *c = file->changes; c; c = c->next)
		change_apply(file, c, NOW);
}
