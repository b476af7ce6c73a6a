/* Images of the whole disk, damage to what is stored, and what it all takes. */
#include "port/sim/world.h"

#include <stdlib.h>
#include <string.h>

struct sim_image {
	struct disk disk;
	struct stale stale;
};

static void copy_changes(struct node *to, const struct node *from)
{
	struct change **end = &to->changes;

	for (const struct change *c = from->changes; c; c = c->next) {
		*end = memcpy(sim_take(sizeof *c), c, sizeof *c);
		(*end)->next = NULL;
		if (c->data)
			(*end)->data = memcpy(sim_take((size_t)c->len), c->data, (size_t)c->len);
		end = &(*end)->next;
	}
}

static void copy_names(struct disk *d, const struct disk *from)
{
	for (const struct node *n = from->first; n; n = n->next)
		for (int side = 0; side < 2; side++)
			for (size_t i = 0; i < n->names[side].count; i++)
				names_set(&n->copy->names[side], n->names[side].list[i].text,
					n->names[side].list[i].node->copy, side == NOW);
	d->root = from->root->copy;
}

static void copy_name_changes(struct disk *d, const struct disk *from)
{
	struct name_change **end = &d->changes;

	for (const struct name_change *c = from->changes; c; c = c->next) {
		struct name_change *copy = memcpy(sim_take(sizeof *c), c, sizeof *c);

		copy->next = NULL;
		copy->dir = c->dir->copy;
		copy->node = c->node->copy;
		copy->to_dir = c->to_dir ? c->to_dir->copy : NULL;
		copy->name = sim_text(c->name);
		copy->to_name = c->to_name ? sim_text(c->to_name) : NULL;
		node_ref(copy->dir);
		node_ref(copy->node);
		if (copy->to_dir)
			node_ref(copy->to_dir);
		*end = copy;
		end = &copy->next;
	}
}

/* The copy has no handles. Nodes that only a handle kept alive stay behind as
 * nodes without a name: nothing leads to them. */
static void copy_disk(struct disk *d, const struct disk *from)
{
	memset(d, 0, sizeof *d);
	for (struct node *n = from->first; n; n = n->next) {
		struct node *copy = node_new(d, n->dir);

		n->copy = copy;
		copy->modified = n->modified;
		copy->false_now = n->false_now;
		memcpy(copy->size, n->size, sizeof n->size);
		blocks_copy(&copy->blocks, &n->blocks);
		copy_changes(copy, n);
	}
	copy_names(d, from);
	copy_name_changes(d, from);
	d->root->refs++;
	d->root->present++;
}

struct sim_image *sim_image_save(void)
{
	struct sim_image *image = sim_take(sizeof *image);
	uint64_t used = disk.used;

	copy_disk(&image->disk, &disk);
	disk.used = used;
	stale_save(&image->stale);
	return image;
}

void sim_image_load(const struct sim_image *image)
{
	sim_kill();
	disk_free(&disk);
	copy_disk(&disk, &image->disk);
	disk_count();
	stale_load(&image->stale);
}

void sim_image_free(struct sim_image *image)
{
	if (image) {
		disk_free(&image->disk);
		stale_free(&image->stale);
	}
	free(image);
}

/* ---- damage ---- */

static struct node *file_with(const char *path, uint64_t end)
{
	struct node *n = disk_find(path);

	return n && !n->dir && n->size[NOW] >= end ? n : NULL;
}

static void put_both(struct node *n, uint64_t offset, const uint8_t *data, size_t len)
{
	blocks_write(&n->blocks, NOW, offset, data, len);
	blocks_write(&n->blocks, DURABLE, offset, data, len);
	disk_count();
}

bool sim_flip_bit(const char *path, uint64_t offset, unsigned bit)
{
	struct node *n = file_with(path, offset + 1);
	uint8_t byte;

	if (!n || bit > 7)
		return false;
	blocks_read(&n->blocks, NOW, offset, &byte, 1);
	byte = (uint8_t)(byte ^ 1u << bit);
	put_both(n, offset, &byte, 1);
	return true;
}

bool sim_copy_block(const char *from, uint64_t block, const char *to, uint64_t other)
{
	struct node *source = file_with(from, block * BLOCK + 1), *target = file_with(to, other * BLOCK + 1);
	uint8_t data[BLOCK];

	if (!source || !target)
		return false;
	blocks_read(&source->blocks, NOW, block * BLOCK, data, BLOCK);
	put_both(target, other * BLOCK, data, BLOCK);
	return true;
}

bool sim_swap_blocks(const char *path, uint64_t block, uint64_t other)
{
	struct node *n = file_with(path, (block > other ? block : other) * BLOCK + 1);
	uint8_t one[BLOCK], two[BLOCK];

	if (!n)
		return false;
	blocks_read(&n->blocks, NOW, block * BLOCK, one, BLOCK);
	blocks_read(&n->blocks, NOW, other * BLOCK, two, BLOCK);
	put_both(n, block * BLOCK, two, BLOCK);
	put_both(n, other * BLOCK, one, BLOCK);
	return true;
}

bool sim_zero_block(const char *path, uint64_t block)
{
	static const uint8_t zeros[BLOCK];
	struct node *n = file_with(path, block * BLOCK + 1);

	if (n)
		put_both(n, block * BLOCK, zeros, BLOCK);
	return n != NULL;
}

/* ---- what it takes ---- */

uint64_t sim_charged(const char *path)
{
	struct {
		const struct node *dir;
		size_t at;
	} stack[32];
	const struct node *n = disk_find(path);
	unsigned depth = 0;
	uint64_t sum = 0;

	for (;;) {
		if (n && !n->dir) {
			uint64_t held = n->blocks.held[NOW] * BLOCK;
			sum += held > n->size[NOW] ? held : n->size[NOW];
		} else if (n) {
			if (depth == sizeof stack / sizeof stack[0])
				sim_misuse("directories deeper than %u", depth);
			stack[depth].dir = n;
			stack[depth++].at = 0;
		}
		while (depth > 0 && stack[depth - 1].at == stack[depth - 1].dir->names[NOW].count)
			depth--;
		if (depth == 0)
			return sum;
		n = stack[depth - 1].dir->names[NOW].list[stack[depth - 1].at++].node;
	}
}
