"""Every URL of the bank; one path's commands and queries meet here."""

from django.contrib import admin
from django.urls import path

from accounts import views as accounts
from bank import api_docs
from bank.bulk_commands import BulkView
from bank.by_method import by_method
from bank.command_outcomes import CommandOutcomeView
from bank.health import health, live, ready
from bank.metrics import MetricsView
from projections import job_views, repair_views, transfer_views
from projections import views as projections
from transfers import views as transfers

handler400 = "bank.error_views.bad_request"
handler403 = "bank.error_views.permission_denied"
handler404 = "bank.error_views.page_not_found"
handler500 = "bank.error_views.server_error"

urlpatterns = [
    path(
        "api/accounts",
        by_method(GET=projections.AccountListView.as_view(), POST=accounts.CreateAccountView.as_view()),
    ),
    path("api/accounts/<str:account_id>", by_method(GET=projections.AccountDetailView.as_view())),
    path("api/accounts/<str:account_id>/balance", by_method(GET=projections.AccountBalanceView.as_view())),
    path("api/accounts/<str:account_id>/history", by_method(GET=projections.AccountHistoryView.as_view())),
    path("api/accounts/<str:account_id>/deposits", by_method(POST=accounts.DepositView.as_view())),
    path("api/accounts/<str:account_id>/withdrawals", by_method(POST=accounts.WithdrawalView.as_view())),
    path("api/accounts/<str:account_id>/freeze", by_method(POST=accounts.FreezeView.as_view())),
    path("api/accounts/<str:account_id>/unfreeze", by_method(POST=accounts.UnfreezeView.as_view())),
    path("api/accounts/<str:account_id>/close", by_method(POST=accounts.CloseView.as_view())),
    path(
        "api/transfers",
        by_method(GET=transfer_views.TransferListView.as_view(), POST=transfers.InitiateTransferView.as_view()),
    ),
    path("api/transfers/<str:transfer_id>", by_method(GET=transfer_views.TransferDetailView.as_view())),
    path("api/commands", by_method(POST=BulkView.as_view())),
    # A key may hold slashes, and servers decode them before Django sees the path.
    path("api/commands/<path:command_id>", by_method(GET=CommandOutcomeView.as_view())),
    path("api/admin/projections/accounts/rebuild-all", by_method(POST=job_views.RebuildAllView.as_view())),
    path("api/admin/projections/accounts/<str:account_id>", by_method(GET=repair_views.AccountStandingView.as_view())),
    path(
        "api/admin/projections/accounts/<str:account_id>/rebuild",
        by_method(POST=repair_views.RebuildAccountView.as_view()),
    ),
    path("api/admin/projections/jobs/<uuid:job_id>", by_method(GET=job_views.JobView.as_view())),
    path("api/schema", by_method(GET=api_docs.schema)),
    path("api/docs", by_method(GET=api_docs.page)),
    path("api/health", by_method(GET=health)),
    path("health", by_method(GET=health)),
    path("health/live", by_method(GET=live)),
    path("health/ready", by_method(GET=ready)),
    path("metrics", by_method(GET=MetricsView.as_view())),
    path("admin/", admin.site.urls),
]
