/* Dates. The seconds of test cases come from Python's email.utils, the texts
 * from RFC 5322 (appendix A) and RFC 3501. */
#include "mail/date.h"

#include "base/err.h"
#include "t.h"

static void check(const char *text, int64_t seconds, int zone)
{
	struct date d = { -1, -1 };

	if (date_parse(bytes_of(text), &d) != OK)
		T_FAIL("\"%s\" is not read", text);
	if (d.seconds != seconds || d.zone != zone)
		T_FAIL("\"%s\" is %lld %d", text, (long long)d.seconds, d.zone);
}

T_TEST(reads_good_dates)
{
	check("Fri, 21 Nov 1997 09:55:06 -0600", 880127706, -360);
	check("Tue, 1 Jul 2003 10:52:37 +0200", 1057049557, 120);
	check("Thu, 13 Feb 1969 23:32:54 -0330", -27723426, -210);
	check("Thu, 29 Feb 2024 23:59:60 +0000", 1709251200, 0);
	check("Tue, 19 Jan 2038 03:14:08 +0000", 2147483648, 0);
	check("1 Jan 2000 00:00:00 +1345", 946635300, 825);
	check("Wed, 01 Jan 1970 00:00:00 +0000", 0, 0);
}

T_TEST(reads_obsolete_and_sloppy_dates)
{
	check("21 Nov 97 09:55:06 GMT", 880106106, 0);
	check("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", 880127706, -360); /* RFC 5322 A.5 */
	check("Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n"
	      "               -0330 (Newfoundland Time)",
		-27723480, -210);
	check("Mon, 5 Feb 2024 10:11 EST", 1707145860, -300);
	check("5 Feb 24 10:11:12 PDT", 1707153072, -420);
	check("Mon Feb  5 10:11:12 2024", 1707127872, 0);
	check("Sun, 06 Nov 1994 08:49:37 Z", 784111777, 0);
	check("mon, 5 FEB 2024 10:11:12 utc", 1707127872, 0);
	check("Monday, 5-Feb-24 10:11:12 GMT", 1707127872, 0);
	check("5 February 2024 10.11.12 GMT", 1707127872, 0);
	check("2024-02-05T10:11:12", 1707127872, 0);
	check("2024-02-05 10:11:12 +0000", 1707127872, 0);
	check("Mon, 5 Feb 2024 10:11:12 +01:00", 1707124272, 60);
	check("Mon, 5 Feb 2024 10:11:12 GMT+0100", 1707124272, 60);
	check("Mon, 5 Feb 2024 10:11:12", 1707127872, 0);
	check("Mon, 5 Feb 2024 10:11:12 A", 1707127872, 0); /* RFC 5322 4.3: unknown */
	check("Mon, 5 Feb 2024 10:11:12 +9999", 1707127872, 0);
	check("5 Feb 124 10:11:12 +0000", 1707127872, 0); /* three digits: 1900 more */
	check("5 Feb 2024", 1707091200, 0);
}

T_TEST(refuses_what_is_no_date)
{
	static const char *const bad[] = {
		"", " ", "not a date", "Mon, 31 Apr 2024 10:11:12 +0000", "32 Jan 2024 00:00 GMT",
		"1 Foo 2024 00:00 GMT",
		"Mon, 5 Feb 2024 24:00:00 +0000", "Mon, 5 Feb 2024 10:61:00 +0000", "(Mon, 5 Feb 2024 10:11:12 +0000",
		"29 Feb 2023 00:00 GMT", "0 Jan 2024 00:00 GMT", "5 Feb", "2024", ",,,", "1/2/2024 10:11",
	};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct date d = { 7, 7 };

		if (date_parse(bytes_of(bad[i]), &d) != E_SYNTAX || d.seconds != 7 || d.zone != 7)
			T_FAIL("\"%s\" is read as %lld", bad[i], (long long)d.seconds);
	}
}

T_TEST(days_and_back)
{
	int year, month, day;

	T_EQ(date_days(1970, 1, 1), 0);
	T_EQ(date_days(2000, 3, 1), 11017);
	T_EQ(date_days(1, 1, 1), -719162); /* Python: date(1,1,1).toordinal() - date(1970,1,1).toordinal() */
	T_EQ(date_days(9999, 12, 31), 2932896);
	for (int64_t d = -719162; d <= 2932896; d += 13) {
		date_civil(d, &year, &month, &day);
		T_EQ(date_days(year, month, day), d);
		T_OK(month >= 1 && month <= 12 && day >= 1 && day <= 31);
	}
	date_civil(11016, &year, &month, &day);
	T_OK(year == 2000 && month == 2 && day == 29);
}

T_TEST(the_day_is_that_of_its_own_zone)
{
	struct date d;

	T_EQ(date_parse(bytes_of("Mon, 5 Feb 2024 23:30:00 -0500"), &d), OK);
	T_EQ(date_day(d), date_days(2024, 2, 5));
	T_EQ(date_parse(bytes_of("Mon, 5 Feb 2024 00:30:00 +0500"), &d), OK);
	T_EQ(date_day(d), date_days(2024, 2, 5));
	T_EQ(date_parse(bytes_of("1 Jan 1960 00:00:00 +0100"), &d), OK);
	T_EQ(date_day(d), date_days(1960, 1, 1));
}

T_TEST(imap_date_time)
{
	uint8_t space[64];
	struct date d;
	struct buf out;

	T_EQ(date_parse_imap_time(bytes_of("17-Jul-1996 02:44:25 -0700"), &d), OK);
	T_EQ(d.seconds, 837596665);
	T_EQ(d.zone, -420);
	buf_init(&out, space, sizeof space);
	T_OK(date_put_imap_time(&out, d));
	T_BYTES(space, out.len, "17-Jul-1996 02:44:25 -0700");
	T_EQ(date_parse_imap_time(bytes_of(" 7-jul-1996 02:44:25 +0000"), &d), OK);
	buf_reset(&out);
	T_OK(date_put_imap_time(&out, d));
	T_BYTES(space, out.len, "07-Jul-1996 02:44:25 +0000");
	buf_init(&out, space, 25);
	T_OK(!date_put_imap_time(&out, d));
	T_EQ(out.len, 0);
}

T_TEST(imap_date_time_is_strict)
{
	static const char *const bad[] = {
		"", "17-Jul-1996", "17-Jul-1996 02:44:25", "17-Jul-1996 02:44:25 0700", "17-Jul-96 02:44:25 -0700",
		"17-Jux-1996 02:44:25 -0700", "32-Jul-1996 02:44:25 -0700", "17-Jul-1996 24:44:25 -0700",
		"17-Jul-1996 02:44:25 -0700 ", "17-Jul-1996 2:44:25 -0700", "17 Jul 1996 02:44:25 -0700",
		"17-Jul-1996 02:44:25 +07:0", "-7-Jul-1996 02:44:25 -0700", "17-Jul-0000 02:44:25 -0700",
	};
	struct date d;
	int64_t day;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (date_parse_imap_time(bytes_of(bad[i]), &d) != E_SYNTAX)
			T_FAIL("\"%s\" is taken", bad[i]);
	T_EQ(date_parse_imap_day(bytes_of("1-Feb-1994"), &day), OK);
	T_EQ(day, date_days(1994, 2, 1));
	T_EQ(date_parse_imap_day(bytes_of("01-FEB-1994"), &day), OK);
	T_EQ(day, date_days(1994, 2, 1));
	T_EQ(date_parse_imap_day(bytes_of("31-Feb-1994"), &day), E_SYNTAX);
	T_EQ(date_parse_imap_day(bytes_of("1-Feb-1994 "), &day), E_SYNTAX);
	T_EQ(date_parse_imap_day(bytes_of("\"1-Feb-1994\""), &day), E_SYNTAX);
}

T_TEST(header_date)
{
	uint8_t space[64];
	struct buf out;

	buf_init(&out, space, sizeof space);
	T_OK(date_put(&out, (struct date){ 837596665, -420 }));
	T_BYTES(space, out.len, "Wed, 17 Jul 1996 02:44:25 -0700");
	buf_reset(&out);
	T_OK(date_put(&out, (struct date){ -27723426, -210 }));
	T_BYTES(space, out.len, "Thu, 13 Feb 1969 23:32:54 -0330");
	buf_reset(&out);
	T_OK(date_put(&out, (struct date){ INT64_MAX / 2, 0 }));
	T_BYTES(space, out.len, "Fri, 31 Dec 9999 23:59:59 +0000");
	buf_init(&out, space, 30);
	T_OK(!date_put(&out, (struct date){ 0, 0 }));
	T_EQ(out.len, 0);
}

T_MAIN(T_RUN(reads_good_dates) T_RUN(reads_obsolete_and_sloppy_dates) T_RUN(refuses_what_is_no_date)
		T_RUN(days_and_back) T_RUN(the_day_is_that_of_its_own_zone) T_RUN(imap_date_time)
			T_RUN(imap_date_time_is_strict) T_RUN(header_date))
