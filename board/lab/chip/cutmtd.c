// SPDX-License-Identifier: GPL-2.0
/*
 * cutmtd - a flash chip for power-cut tests and wear counting.
 *
 * Emulates one raw NAND (or NOR) chip in a stretch of physical memory that the
 * kernel was told not to use (mem=...).  When the emulator backs that memory
 * with a shared host file, the chip's contents outlive the emulator: killing
 * the emulator is a power cut, and every program or erase that had finished is
 * still there, in order, as on a real chip without a write cache.
 *
 * With die=1 or 2 the cut kills one process group and makes the chip dead from
 * then on (JFFS2 oopses on a chip that fails, so 2 for it): unmount, detach,
 * write 0 to dead, attach, mount, and the file system meets its torn flash
 * without a reboot (hundreds of cuts a minute).
 *
 * It counts page programs, bytes, erases (see /proc/cutmtd) and can cut the
 * power by itself in the middle of the n-th program or erase ("cut=n"), so that
 * every single flash operation of a workload can be the one that fails.
 */
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/mtd/mtd.h>
#include <linux/proc_fs.h>
#include <linux/reboot.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

static unsigned long phys;
module_param(phys, ulong, 0444);
static unsigned long size = 32 << 20;
module_param(size, ulong, 0444);
static unsigned int erasesize = 128 << 10;
module_param(erasesize, uint, 0444);
static unsigned int writesize = 2048;	/* 1: NOR */
module_param(writesize, uint, 0444);
static bool fill;			/* blank the chip at load */
module_param(fill, bool, 0444);
static long cut;			/* 0: never; n: in the n-th operation from now */
module_param(cut, long, 0644);
static int torn = 1;	/* what the cut operation leaves: 0 nothing done, 1 half, 2 all done */
module_param(torn, int, 0644);

static int mortal;	/* at the cut, instead of a reboot: 1 fail with -EIO, 2 take and drop writes */
module_param_named(die, mortal, int, 0644);
static bool dead;	/* write 0 for power on again, after unmounting */
module_param(dead, bool, 0644);
static int victim;	/* with die=1: process group that gets SIGKILL at the cut */
module_param(victim, int, 0644);

#define OOB 64
static u8 __iomem *chip, *oobmem;
static struct mtd_info m;
static u32 *ec;
static unsigned long long n_prog, b_prog, n_oob, n_erase, b_read, n_over, b_user;
static DEFINE_MUTEX(lock);

static int trip(void)
{
	if (!cut)
		return 0;
	return --cut == 0;
}

static void power_off(const char *what, loff_t at)
{
	dead = true;
	if (mortal) {
		struct pid *p = victim ? find_get_pid(victim) : NULL;

		if (p) {	/* nobody may promise anything after the cut */
			kill_pgrp(p, SIGKILL, 1);
			put_pid(p);
		}
		return;
	}
	pr_emerg("cutmtd: POWER CUT in %s at %llx\n", what, (unsigned long long)at);
	emergency_restart();	/* the emulator runs with -no-reboot */
	for (;;)
		;
}

static void put(u8 __iomem *to, const u8 *from, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {	/* flash only clears bits */
		u8 old = readb(to + i), new = old & from[i];

		if (new != old)
			writeb(new, to + i);
	}
}

static void program(loff_t to, const u8 *buf, size_t n)
{
	unsigned int unit = writesize == 1 ? 256 : writesize;

	while (n) {
		size_t c = min_t(size_t, n, unit - (size_t)(to & (unit - 1))), i;

		for (i = 0; i < c; i += 1)
			if (buf[i] != 0xff && readb(chip + to + i) != 0xff) {
				n_over++;
				break;
			}
		if (trip()) {
			if (torn)
				put(chip + to, buf, torn == 1 ? c / 2 : c);
			power_off("program", to);
			return;
		}
		put(chip + to, buf, c);
		n_prog++;
		b_prog += writesize == 1 ? c : unit;
		to += c;
		buf += c;
		n -= c;
	}
}

static int c_erase(struct mtd_info *mtd, struct erase_info *e)
{
	u64 a;

	mutex_lock(&lock);
	for (a = e->addr; !dead && a < e->addr + e->len; a += erasesize) {
		size_t np = erasesize / (writesize == 1 ? 2048 : writesize);

		if (trip()) {
			if (torn)
				memset_io(chip + a, 0xff, torn == 1 ? erasesize / 2 : erasesize);
			power_off("erase", a);
			break;
		}
		memset_io(chip + a, 0xff, erasesize);
		if (oobmem)
			memset_io(oobmem + (u32)a / writesize * OOB, 0xff, np * OOB);
		n_erase++;
		ec[(u32)a / erasesize]++;
	}
	mutex_unlock(&lock);
	return dead && mortal != 2 ? -EIO : 0;
}

static size_t oob_off(struct mtd_oob_ops *o)
{
	return o->ooboffs + (o->mode == MTD_OPS_AUTO_OOB ? 2 : 0);
}

static int c_read_oob(struct mtd_info *mtd, loff_t from, struct mtd_oob_ops *o)
{
	if (dead && mortal != 2)
		return -EIO;
	mutex_lock(&lock);
	if (o->datbuf) {
		memcpy_fromio(o->datbuf, chip + from, o->len);
		o->retlen = o->len;
		b_read += o->len;
	}
	if (o->oobbuf) {
		size_t left = o->ooblen, per = OOB - oob_off(o), d = 0;
		size_t page = (size_t)from / writesize;

		while (left && oobmem) {
			size_t c = min(left, per);

			memcpy_fromio(o->oobbuf + d, oobmem + page * OOB + oob_off(o), c);
			left -= c;
			d += c;
			page++;
		}
		o->oobretlen = d;
	}
	mutex_unlock(&lock);
	return 0;
}

static int c_write_oob(struct mtd_info *mtd, loff_t to, struct mtd_oob_ops *o)
{
	mutex_lock(&lock);
	if (dead) {
		o->retlen = o->len;
		o->oobretlen = o->ooblen;
		goto out;
	}
	if (o->datbuf) {
		program(to, o->datbuf, o->len);
		o->retlen = o->len;
		b_user += o->len;
	}
	if (o->oobbuf && oobmem) {
		size_t page = (size_t)to / writesize;

		if (dead || trip()) {
			power_off("oob", to);
			goto out;
		}
		put(oobmem + page * OOB + oob_off(o), o->oobbuf, o->ooblen);
		if (!o->datbuf)
			n_oob++;
		o->oobretlen = o->ooblen;
	}
out:
	mutex_unlock(&lock);
	return dead && mortal != 2 ? -EIO : 0;
}

static int c_isbad(struct mtd_info *mtd, loff_t ofs)
{
	return 0;
}

static int c_markbad(struct mtd_info *mtd, loff_t ofs)
{
	pr_warn("cutmtd: mark bad %llx\n", (unsigned long long)ofs);
	return 0;
}

static int ol_ecc(struct mtd_info *mtd, int s, struct mtd_oob_region *r)
{
	return -ERANGE;
}

static int ol_free(struct mtd_info *mtd, int s, struct mtd_oob_region *r)
{
	if (s)
		return -ERANGE;
	r->offset = 2;
	r->length = OOB - 2;
	return 0;
}

static const struct mtd_ooblayout_ops ol = { .ecc = ol_ecc, .free = ol_free };

static int show(struct seq_file *s, void *v)
{
	u32 i, n = size / erasesize, max = 0, used = 0;

	for (i = 0; i < n; i++) {
		max = max(max, ec[i]);
		used += ec[i] != 0;
	}
	seq_printf(s,
		"progs %llu prog_bytes %llu oob_progs %llu erases %llu erased_blocks %u max_ec %u read_bytes %llu "
		"overprog %llu\n",
		n_prog, b_prog, n_oob, n_erase, used, max, b_read, n_over);
	return 0;
}

static int __init cutmtd_init(void)
{
	size_t oobsz = writesize == 1 ? 0 : size / writesize * OOB;

	if (!phys || !(ec = vzalloc(size / erasesize * sizeof(*ec))))
		return -EINVAL;
	chip = ioremap(phys, size + oobsz);
	if (!chip) {
		vfree(ec);
		return -ENOMEM;
	}
	if (oobsz)
		oobmem = chip + size;
	if (fill)
		memset_io(chip, 0xff, size + oobsz);
	m.name = "cutmtd";
	m.owner = THIS_MODULE;
	m.type = writesize == 1 ? MTD_NORFLASH : MTD_NANDFLASH;
	m.flags = writesize == 1 ? MTD_CAP_NORFLASH : MTD_CAP_NANDFLASH;
	m.size = size;
	m.erasesize = erasesize;
	m.writesize = writesize;
	m.writebufsize = writesize == 1 ? 256 : writesize;
	m._erase = c_erase;
	m._read_oob = c_read_oob;
	m._write_oob = c_write_oob;
	if (oobsz) {
		m.oobsize = OOB;
		m.oobavail = OOB - 2;
		mtd_set_ooblayout(&m, &ol);
		m._block_isbad = c_isbad;
		m._block_markbad = c_markbad;
	}
	if (mtd_device_register(&m, NULL, 0)) {
		iounmap(chip);
		vfree(ec);
		return -EIO;
	}
	proc_create_single("cutmtd", 0444, NULL, show);
	return 0;
}

static void __exit cutmtd_exit(void)
{
	remove_proc_entry("cutmtd", NULL);
	mtd_device_unregister(&m);
	iounmap(chip);
	vfree(ec);
}

module_init(cutmtd_init);
module_exit(cutmtd_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("RAM-backed flash chip with power cuts and wear counters");
