/* Addresses as text: what identifies a client, and ranges. */
#include "support.h"

#include "net/address.h"

static void
test_clients(void **state)
{
	static const struct {
		const char *text, *client; /* NULL: no address */
	} rows[] = {
	    {"192.0.2.1", "192.0.2.1"},
	    {"192.0.2.1:8080", "192.0.2.1"},
	    {"::ffff:192.0.2.1", "192.0.2.1"},
	    {"[::ffff:192.0.2.1]:1", "192.0.2.1"},
	    {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
	    {"2001:DB8:1:2::", "2001:db8:1:2::/64"},
	    {"[2001:db8:1:2::9]", "2001:db8:1:2::/64"},
	    {"[2001:db8:1:2::9]:443", "2001:db8:1:2::/64"},
	    {"2001:db8:1:3::9", "2001:db8:1:3::/64"},
	    {"::1", "::/64"},
	    {"", NULL},
	    {"unix:", NULL},
	    {"unknown", NULL},
	    {"192.0.2", NULL},
	    {"192.0.2.256", NULL},
	    {"192.0.2.1 ", NULL},
	    {"[192.0.2.1", NULL},
	    {"[::1]x", NULL},
	    {"2001:db8::1::2", NULL},
	    {"example.org", NULL},
	    {"1234567890123456789012345678901234567890123456789012345678901234567890", NULL},
	};
	char client[ADDRESS_TEXT_SIZE];
	struct address address;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int result = address_parse(rows[i].text, strlen(rows[i].text), &address);

		check_int(rows[i].text, result, rows[i].client ? 0 : -1);
		if (result < 0)
			continue;
		address_print_client(&address, client);
		check_text(rows[i].text, client, rows[i].client);
	}
}

static void
test_private(void **state)
{
	static const struct {
		const char *text;
		bool private, loopback;
	} rows[] = {
	    {"127.0.0.1", true, true},
	    {"127.255.255.255", true, true},
	    {"::1", true, true},
	    {"::ffff:127.0.0.1", true, true},
	    {"::", true, false},
	    {"0.0.0.0", true, false},
	    {"10.0.0.1", true, false},
	    {"11.0.0.1", false, false},
	    {"100.64.0.1", true, false},
	    {"100.128.0.1", false, false},
	    {"169.254.169.254", true, false},
	    {"172.15.0.1", false, false},
	    {"172.16.0.1", true, false},
	    {"172.32.0.1", false, false},
	    {"192.168.0.1", true, false},
	    {"192.169.0.1", false, false},
	    {"192.0.2.1", false, false},
	    {"fe80::1", true, false},
	    {"fec0::1", false, false},
	    {"fd00::1", true, false},
	    {"2001:db8::1", false, false},
	    {"::ffff:192.168.0.1", true, false},
	};
	struct address address;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(address_parse(rows[i].text, strlen(rows[i].text), &address), 0);
		check_int(rows[i].text, address_is_private(&address), rows[i].private);
		check_int(rows[i].text, address_is_loopback(&address), rows[i].loopback);
	}
}

static void
test_ranges(void **state)
{
	static const struct {
		const char *ranges, *address;
		bool in;
	} rows[] = {
	    {"", "192.0.2.1", false},
	    {"192.0.2.1", "192.0.2.1", true},
	    {"192.0.2.1", "::ffff:192.0.2.1", true},
	    {"192.0.2.1", "192.0.2.2", false},
	    {"10.0.0.0/8", "10.255.0.1", true},
	    {"10.0.0.0/8", "11.0.0.1", false},
	    {"10.1.2.3/8", "10.255.0.1", true},
	    {"10.0.0.0/9", "10.127.0.1", true},
	    {"10.0.0.0/9", "10.128.0.1", false},
	    {"0.0.0.0/0", "192.0.2.1", true},
	    {"0.0.0.0/0", "2001:db8::1", false},
	    {"::/0", "2001:db8::1", true},
	    {"::/0", "192.0.2.1", true},
	    {"2001:db8::/33", "2001:db8:7fff::1", true},
	    {"2001:db8::/33", "2001:db8:8000::1", false},
	    {"127.0.0.1, ::1 ,10.0.0.0/8", "10.1.1.1", true},
	    {"127.0.0.1, ::1 ,10.0.0.0/8", "::1", true},
	    {"127.0.0.1, ::1 ,10.0.0.0/8", "::2", false},
	};
	struct address address;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *bad;
		size_t bad_len;
		struct address_ranges *ranges =
		    address_ranges_parse(rows[i].ranges, &bad, &bad_len);

		assert_non_null(ranges);
		assert_int_equal(
		    address_parse(rows[i].address, strlen(rows[i].address), &address), 0);
		check_int(rows[i].ranges, address_ranges_have(ranges, &address), rows[i].in);
		address_ranges_free(ranges);
	}
	assert_false(address_ranges_have(NULL, &address));
}

static void
test_no_ranges(void **state)
{
	static const struct {
		const char *ranges, *bad;
	} rows[] = {
	    {"10.0.0.0/33", "10.0.0.0/33"},
	    {"::1, 10.0.0.0/-1,x", "10.0.0.0/-1"},
	    {"10.0.0.0/", "10.0.0.0/"},
	    {"::/129", "::/129"},
	    {"localhost", "localhost"},
	    {"10.0.0.1:80", "10.0.0.1:80"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *bad;
		size_t bad_len;

		assert_null(address_ranges_parse(rows[i].ranges, &bad, &bad_len));
		check_int(rows[i].ranges, (long long)bad_len, (long long)strlen(rows[i].bad));
		assert_memory_equal(bad, rows[i].bad, bad_len);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_clients),
	    cmocka_unit_test(test_private),
	    cmocka_unit_test(test_ranges),
	    cmocka_unit_test(test_no_ranges),
	};

	return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
