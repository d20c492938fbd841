import pytest

from spheredc_hpc.catalog.models import Product
from spheredc_hpc.catalog.plan import plan
from spheredc_hpc.catalog.publish import publish
from spheredc_hpc.catalog.query import list_products
from spheredc_hpc.catalog.scan import scan
from spheredc_hpc.errors import ConfigError
from spheredc_hpc.store import receipt as receipts

LEVEL1, LEVEL2 = "observations/x/level1", "observations/x/level2/pca-adi-12345678"


@pytest.fixture
def filled(root, product):
    product(root, "calibrations/flat/0011223344556677", "flat")
    product(root, LEVEL1, "level1", "CENTER_ASSUMED")
    product(root, LEVEL2, "level2")
    return root


def test_receipts_become_rows(filled):
    summary = publish(filled)
    assert (summary.n_products, summary.n_new) == (3, 3)
    assert summary.statuses == {"flat ok": 1, "level1 flagged": 1, "level2 ok": 1}
    row = Product.objects.get(id=LEVEL2)
    assert (row.observation, row.recipe, row.status) == ("x", "pca-adi-12345678", "ok")
    assert row.receipt_digest == receipts.digest(filled / LEVEL2)
    assert row.quality == {"snr": 5.5}
    flagged = Product.objects.get(id=LEVEL1)
    assert (flagged.flags, flagged.reasons) == (["CENTER_ASSUMED"], ["in words"])


def test_publishing_again_changes_nothing(filled):
    publish(filled)
    again = publish(filled)
    assert (again.n_new, again.n_changed, again.n_removed) == (0, 0, 0)


def test_a_product_made_anew_is_updated_and_a_vanished_one_dropped(filled, product):
    publish(filled)
    product(filled, LEVEL1, "level1")
    receipts_of_level2 = filled / LEVEL2 / "receipt.json"
    receipts_of_level2.unlink()
    summary = publish(filled)
    assert (summary.n_products, summary.n_changed, summary.n_removed) == (2, 1, 1)
    assert Product.objects.get(id=LEVEL1).status == "ok"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: (path / "data.txt").unlink(), "data.txt: No such file or directory"),
        (lambda path: (path / "data.txt").write_text("x"), "data.txt: 1 bytes"),
        (lambda path: (path / "receipt.json").write_text("{}"), "its digest does not match"),
    ],
)
def test_a_damaged_product_is_not_listed(filled, damage, reason):
    publish(filled)
    damage(filled / LEVEL2)
    summary = publish(filled)
    assert reason in summary.problems[LEVEL2]
    assert not Product.objects.filter(id=LEVEL2).exists()


def test_a_product_that_was_moved_is_not_listed(filled):
    (filled / LEVEL2).rename(filled / LEVEL2.replace("pca", "cadi"))
    assert list(publish(filled).problems.values()) == [f"its receipt is that of {LEVEL2}"]


def test_a_half_written_product_is_not_listed(filled):
    (filled / "observations/y/level1").mkdir(parents=True)
    (filled / "observations/y/level1/data.txt").touch()
    assert publish(filled).n_products == 3


def test_the_list_publishes_by_itself(filled):
    listed = list_products(filled)
    assert [item["product"] for item in listed["products"]] == [
        "calibrations/flat/0011223344556677",
        LEVEL1,
        LEVEL2,
    ]
    (observation,) = listed["observations"]
    assert observation["status"] == "imported"
    assert observation["products"] == [LEVEL1, LEVEL2]


def test_the_list_shows_plans_and_what_is_missing(raw, root, config, product):
    scan([raw], root, config)
    plan(root, "first", config, [raw])
    (observation,) = list_products(root)["observations"]
    assert (observation["status"], observation["target"]) == ("planned", "HD 1160")
    assert observation["plans"][0]["missing"] == ["SPARTA exposure: night 2016-09-15, block 1001"]
    product(root, f"observations/{observation['id']}/level1", "level1")
    (observation,) = list_products(root)["observations"]
    assert observation["products"] == [f"observations/{observation['id']}/level1"]


def test_an_old_list_is_given_if_asked_for(filled, product):
    publish(filled)
    product(filled, "observations/z/level1", "level1")
    assert len(list_products(filled, refresh=False)["products"]) == 3


def test_no_root_no_list(root):
    with pytest.raises(ConfigError, match="does not exist"):
        list_products(root)
    assert not root.exists()
